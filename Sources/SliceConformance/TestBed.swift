import Descriptor
import Glibc
import SliceModel

/// What the cases work with: slices of the suite's own, made when they are first needed, programs of the
/// host beside them, and all of it removed at the end.
final class TestBed {
  let tools: Tools
  let interruption: Interruption
  /// In the names of all that the suite makes beside slices.
  let tag: String
  /// A directory of the host that no slice may see, with `secret` in it.
  let directory: String
  private var slices: [String] = []
  private var images: [String] = []
  private var companions: [RunningProgram] = []

  /// Programs of this installation.
  struct Tools: Sendable {
    let slicectl: String
    let probe: String
    let socket: String
  }

  init(tools: Tools, interruption: Interruption) throws {
    self.tools = tools
    self.interruption = interruption
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    let pattern = parent + "/slices-conformance.XXXXXX"
    var template = Array(pattern.utf8CString)
    guard mkdtemp(&template) != nil else {
      throw SystemError(code: errno, operation: "mkdtemp", subject: pattern)
    }
    directory = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    tag = "conformance-" + directory.suffix(6).lowercased()
    chmod(directory, 0o755)
    try write(Array("secret\n".utf8), to: "secret")
  }

  var secret: String { directory + "/secret" }

  // MARK: - Running things

  /// - Parameter completes: it is not interrupted, because it makes something that must be removed.
  func slicectl(
    _ arguments: [String], terminal: Bool = false, environment: [String] = [],
    seconds: Double = 60, completes: Bool = false
  ) throws -> Program.Result {
    try Program(terminal: terminal, environment: environment).run(
      [tools.slicectl, "--socket", tools.socket] + arguments, seconds: seconds,
      interruption: completes ? nil : interruption)
  }

  /// The same as another user of the host.
  func slicectl(_ arguments: [String], as user: UInt32) throws -> Program.Result {
    try Program().run(
      [tools.probe, "as", "\(user)", tools.slicectl, "--socket", tools.socket] + arguments,
      seconds: 60, interruption: interruption)
  }

  /// slice-probe on the host.
  func probe(_ arguments: [String], environment: [String] = []) throws -> Program.Result {
    try Program(environment: environment).run(
      [tools.probe] + arguments, seconds: 120, interruption: interruption)
  }

  /// slice-probe in a slice.
  func probe(
    in slice: String, _ arguments: [String], user: String? = nil, terminal: Bool = false,
    environment: [String] = [], seconds: Double = 120
  ) throws -> Program.Result {
    let options = (user.map { ["--user", $0] } ?? []) + (terminal ? ["-t"] : [])
    return try slicectl(
      ["exec", slice] + options + ["--", "/probe"] + arguments, terminal: terminal,
      environment: environment, seconds: seconds)
  }

  func json(_ arguments: [String]) throws -> JSONValue {
    let result = try slicectl(["--json"] + arguments)
    guard result.status == 0 else { throw SuiteError(result.complaint) }
    return try JSONValue(parsing: Array(result.output.utf8))
  }

  func write(_ bytes: [UInt8], to name: String) throws {
    let path = directory + "/" + name
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw SystemError(code: errno, operation: "open", subject: path) }
    defer { close(file) }
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      guard count > 0 else { throw SystemError(code: errno, operation: "write", subject: path) }
      rest = rest.dropFirst(count)
    }
  }

  // MARK: - What the suite makes

  /// An image with slice-probe as /probe, and what `change` adds.
  /// - Returns: its name, or how the supervisor refused it.
  func importImage(
    _ suffix: String, _ change: (inout TarArchive) -> Void = { _ in }
  ) throws -> Result<String, SliceError> {
    let name = "\(tag)-\(suffix)"
    guard !images.contains(name) else { return .success(name) }
    var archive = TarArchive()
    archive.add("probe", .file(try File.bytes(tools.probe), executable: true))
    archive.add("etc", .directory)
    archive.add("etc/passwd", .file(Array(Self.passwd.utf8), executable: false))
    archive.add("etc/group", .file(Array(Self.group.utf8), executable: false))
    change(&archive)
    try write(archive.finished, to: "image.tar")
    defer { unlink(directory + "/image.tar") }
    try interruption.check()
    let result = try slicectl(
      ["image", "import", directory + "/image.tar", "--name", name], completes: true)
    guard result.status == 0 else { return .failure(SliceError(.failed, result.complaint)) }
    images.append(name)
    return .success(name)
  }

  /// alice has groups of her own, bob none.
  private static let passwd = """
    root:x:0:0::/:/probe
    alice:x:1001:1001::/:/probe
    bob:x:1002:1002::/:/probe

    """
  private static let group = """
    root:x:0:
    alice:x:1001:
    bob:x:1002:
    first:x:2001:alice
    second:x:2002:mallory,alice
    third:x:2003:malice

    """

  var image: String {
    get throws {
      switch try importImage("image") {
      case .success(let name): return name
      case .failure(let error): throw SuiteError("the image was not imported: \(error.message)")
      }
    }
  }

  /// Makes a slice named `conformance-N`, with a lease, so that it ends even when the suite is killed.
  /// - Parameters:
  ///   - service: arguments of slice-probe; nil: it only waits.
  ///   - mounts: places inside for temporary file systems.
  /// - Returns: its name, or how the supervisor refused it.
  func makeSlice(
    image: String, settings: [String] = [], service: [String]? = nil, mounts: [String] = []
  ) throws -> Result<String, SliceError> {
    let taken = Set(try json(["list"]).array?.compactMap { $0["name"].string } ?? [])
    var file: [String] = []
    if !mounts.isEmpty {
      let text = mounts.map { "[[mount]]\ntype = \"tmpfs\"\ntarget = \"\($0)\"\n" }.joined()
      try write(Array(text.utf8), to: "slice.toml")
      file = ["--file", directory + "/slice.toml"]
    }
    defer { if !mounts.isEmpty { unlink(directory + "/slice.toml") } }
    // Of others it sees nothing, but what they have is refused: then the next.
    for number in 1...1000 {
      let name = "conformance-\(number)"
      guard !taken.contains(name) else { continue }
      try interruption.check()
      let result = try slicectl(
        ["create", name, "--image", image, "--set", "lease=30m"]
          + settings.flatMap { ["--set", $0] } + file
          + ["--"] + (service.map { ["/probe"] + $0 } ?? ["/probe", "service"]),
        completes: true)
      if result.status == 0 {
        slices.append(name)
        // A policy may let through what this host doesn't hold; then nothing would be shown.
        guard result.errors.contains("not enforced on this host") else { return .success(name) }
        try destroy(name)
        return .failure(SliceError(.unenforceable, result.complaint))
      }
      if result.errors.contains("exists") || result.errors.contains("taken") { continue }
      let code: SliceError.Code =
        SliceError.Code.allCases.first { $0.exitStatus == result.status } ?? .failed
      return .failure(SliceError(code, result.complaint))
    }
    throw SuiteError("no name from conformance-1 to conformance-1000 is free")
  }

  /// The same where it must succeed.
  func slice(settings: [String] = [], service: [String]? = nil) throws -> String {
    switch try makeSlice(image: image, settings: settings, service: service) {
    case .success(let name): return name
    case .failure(let error):
      if error.code == .unenforceable { throw Unenforceable(reason: error.message) }
      throw SuiteError(error.message)
    }
  }

  /// A limit that this host doesn't hold.
  struct Unenforceable: Error { let reason: String }

  func destroy(_ slice: String) throws {
    let result = try slicectl(["destroy", "--force", slice], seconds: 20)
    guard result.status == 0 else { throw SuiteError(result.complaint) }
    slices.removeAll { $0 == slice }
  }

  /// A program of the host that runs until the end of the suite.
  /// - Parameter word: it is ready when it has printed this.
  private func start(_ arguments: [String], waitingFor word: String) throws {
    let program = try RunningProgram(arguments)
    companions.append(program)
    try program.collect(until: Clock.now + 20, waitingFor: word, interruption)
    guard program.text(0).contains(word) else { throw SuiteError(program.text(1)) }
  }

  private(set) lazy var hostPID = Result { () throws -> Int32 in
    try start([tools.probe, "neighbour", "\(tag)-host"], waitingFor: "finished")
    return companions.last?.processID ?? 0
  }

  /// A slice for commands: its service only waits.
  private(set) lazy var idle = Result { () throws -> String in try slice() }

  /// A slice beside the attacked one, that leaves traces.
  private(set) lazy var neighbour = Result { () throws -> String in
    let name = try slice(service: ["neighbour", "\(tag)-neighbour"])
    try waitForService(name)
    return name
  }

  /// Waits until a slice's service has said that it is ready.
  func waitForService(_ name: String, seconds: Double = 90) throws {
    let deadline = Clock.now + seconds
    while try !slicectl(["logs", name]).output.contains("\"finished\":true") {
      guard Clock.now < deadline else {
        throw SuiteError("the service of \(name) is not ready in time")
      }
      usleep(50_000)
    }
  }

  /// The slice that is attacked from inside; its service has tried every probe of `attempts`.
  func attacked(_ attempts: [Attempt]) throws -> String {
    if let attackedSlice { return attackedSlice }
    let name = try slice(service: ["service"] + attempts.map(text))
    attackedSlice = name
    try waitForService(name)
    return name
  }
  private var attackedSlice: String?

  // MARK: - Arguments of probes

  /// `NAME=ARGUMENT`, as slice-probe takes it.
  func text(_ attempt: Attempt) throws -> String {
    "\(attempt.name)=\(try value(attempt.argument))"
  }

  private func value(_ argument: Argument) throws -> String {
    switch argument {
    case .none: return ""
    case .text(let text): return text
    case .hostFile: return secret
    case .hostTag:
      _ = try hostPID.get()
      return "\(tag)-host"
    case .neighbourTag:
      _ = try neighbour.get()
      return "\(tag)-neighbour"
    case .neighbourName: return try neighbour.get()
    case .hostPID: return "\(try hostPID.get())"
    case .hostNamespaces:
      return ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"]
        .compactMap { File.link("/proc/self/ns/\($0)") }.joined(separator: ",")
    case .slicePID: return "\(try initProcess(of: attackedSlice ?? neighbour.get()))"
    case .sliceCgroup:
      let pid = try initProcess(of: attackedSlice ?? neighbour.get())
      guard let place = File.cgroup(of: pid) else { throw SuiteError("no cgroup v2 is mounted") }
      return place
    }
  }

  /// The number on the host of a slice's PID 1.
  func initProcess(of slice: String) throws -> Int32 {
    let row = try json(["list"]).array?.first { $0["name"].string == slice }
    guard case .integer(let pid)? = row?["pid"] else { throw SuiteError("\(slice) does not run") }
    return Int32(pid)
  }

  // MARK: - End

  /// Removes all that was made. What does not go is reported, and everything else removed.
  func remove() -> [String] {
    interruption.ignore()
    var complaints: [String] = []
    func attempt(_ body: () throws -> Program.Result?) {
      do {
        if let result = try body(), result.status != 0 { complaints.append(result.complaint) }
      } catch {
        complaints.append("\(error)")
      }
    }
    for companion in companions { companion.end() }
    if !slices.isEmpty { attempt { try slicectl(["destroy", "--force"] + slices, seconds: 120) } }
    for image in images { attempt { try slicectl(["image", "remove", image]) } }
    for name in File.list(directory) { unlink(directory + "/" + name) }
    if rmdir(directory) < 0 { complaints.append("rmdir(\(directory)): errno \(errno)") }
    return complaints
  }
}

/// Small reads of the host's files.
enum File {
  static func bytes(_ path: String) throws(SystemError) -> [UInt8] {
    let file = OwnedFD(adopting: try checked("open", path) { open(path, O_RDONLY | O_CLOEXEC) })
    let number = file.rawValue
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = try retryingInterrupts("read", path) { read(number, &part, part.count) }
      if count == 0 { return bytes }
      bytes += part[..<count]
    }
  }

  static var hostName: String {
    let line = (try? bytes("/proc/sys/kernel/hostname"))?.prefix { $0 != UInt8(ascii: "\n") }
    return String(decoding: line ?? [], as: UTF8.self)
  }

  static func link(_ path: String) -> String? {
    var text = [UInt8](repeating: 0, count: 256)
    let count = readlink(path, &text, text.count)
    return count > 0 ? String(decoding: text[..<count], as: UTF8.self) : nil
  }

  static func list(_ path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }

  /// The cgroup above the one in which a slice's processes are.
  static func cgroup(of pid: Int32) -> String? {
    let text = { (path: String) in
      (try? bytes(path)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
    var mount: Substring?
    for line in text("/proc/self/mounts").split(separator: "\n") {
      let fields = line.split(separator: " ")
      if fields.count > 2, fields[2] == "cgroup2" { mount = fields[1] }
    }
    let lines = text("/proc/\(pid)/cgroup").split(separator: "\n")
    guard let mount, let line = lines.first(where: { $0.hasPrefix("0::/") }) else { return nil }
    // What PID 1 has made of its own cgroup is not of interest.
    let parts = line.dropFirst(3).split(separator: "/")
    guard let last = parts.lastIndex(of: "slice"), last > 0 else { return nil }
    return mount + "/" + parts[..<last].joined(separator: "/")
  }
}
