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
  var overlays: [String] = []
  private var companions: [RunningProgram] = []

  /// Programs of this installation.
  struct Tools: Sendable {
    let slicectl: String
    let probe: String
    let socket: String
    /// The command line of another runtime's adapter (Tests/Conformance/runtimes), which takes
    /// slice-probe's arguments behind it and runs it in a container; nil: slices are attacked.
    let adapter: [String]?
    /// Whether cases may fill what the host's other users need.
    let load: Bool
    /// Whether cases may make very many slices.
    let thorough: Bool
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
  var adapter: [String]? { tools.adapter }

  // MARK: - The host's directory

  /// What is in it: attacks that lead out of a slice lead here.
  var traces: Set<String> { Set(File.list(directory)) }

  /// What an attack has done there, by what was there before; nil: nothing. It is removed, so that the next case
  /// finds its own.
  func escape(since before: Set<String>) -> Verdict? {
    let new = traces.subtracting(before).sorted()
    for name in new { _ = File.remove(directory + "/" + name) }
    let missing = before.subtracting(traces).sorted()
    guard new.isEmpty, missing.isEmpty else {
      return .fail(
        "on the host appeared \(new)" + (missing.isEmpty ? "" : " and went away \(missing)"))
    }
    let isMounted = File.mountPoints().contains { $0.hasPrefix(directory) }
    return isMounted ? .fail("something was mounted on the host at \(directory)") : nil
  }

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

  /// slicectl beside the suite, until it is ended.
  func startSlicectl(_ arguments: [String]) throws -> RunningProgram {
    try start([tools.slicectl, "--socket", tools.socket] + arguments)
  }

  /// The same as another user of the host.
  func slicectl(_ arguments: [String], as user: UInt32) throws -> Program.Result {
    try Program().run(
      [tools.probe, "as", "\(user)", tools.slicectl, "--socket", tools.socket] + arguments,
      seconds: 60, interruption: interruption)
  }

  /// A user that is nobody's here.
  static let stranger: UInt32 = 64_242

  /// Runs as another user what must be refused; throws where this can't be had.
  func asStranger(_ arguments: [String]) throws -> Program.Result {
    let result = try slicectl(arguments, as: Self.stranger)
    if result.status == 125, result.errors.contains("slice-probe: as") {
      throw Unenforceable(reason: "running the client as another user, which only root can")
    }
    if result.errors.contains("no permission to talk") {
      throw Unenforceable(reason: "the supervisor's socket is closed to other users anyway")
    }
    return result
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

  /// What others had at the beginning.
  private lazy var taken = Result { () throws -> Set<String> in
    Set(try json(["list"]).array?.compactMap { $0["name"].string } ?? [])
  }

  /// Makes a slice named `conformance-N`, with a lease, so that it ends even when the suite is killed.
  /// - Parameters:
  ///   - service: arguments of slice-probe; nil: it only waits.
  ///   - mounts: places inside for temporary file systems.
  /// - Returns: its name, or how the supervisor refused it.
  func makeSlice(
    image: String, settings: [String] = [], service: [String]? = nil, mounts: [String] = []
  ) throws -> Result<String, SliceError> {
    let taken = try taken.get().union(slices)
    var file: [String] = []
    if !mounts.isEmpty {
      let text = mounts.map { "[[mount]]\ntype = \"tmpfs\"\ntarget = \"\($0)\"\n" }.joined()
      try write(Array(text.utf8), to: "slice.toml")
      file = ["--file", directory + "/slice.toml"]
    }
    defer { if !mounts.isEmpty { unlink(directory + "/slice.toml") } }
    // Of others it sees nothing, but what they have is refused: then the next.
    for number in 1...2000 {
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
    throw SuiteError("no name from conformance-1 to conformance-2000 is free")
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

  /// What can't be tried here: a limit that this host doesn't hold, mostly.
  struct Unenforceable: Error { let reason: String }

  func destroy(_ slice: String) throws { try destroy([slice]) }

  func destroy(_ several: [String]) throws {
    let result = try slicectl(
      ["destroy", "--force"] + several, seconds: 20 + Double(several.count) / 5)
    guard result.status == 0 else { throw SuiteError(result.complaint) }
    slices.removeAll(where: several.contains)
  }

  /// The same for one that is only not needed any more. Should it fail, the bed's end tries again, and says
  /// what stays.
  func release(_ slice: String) { try? destroy(slice) }

  /// A program of the host that runs until the end of the suite, or until it is ended. It has said that it is ready.
  @discardableResult
  func start(_ arguments: [String]) throws -> RunningProgram {
    let program = try RunningProgram(arguments)
    companions.append(program)
    try program.collect(until: Clock.now + 60, waitingFor: "finished", interruption)
    guard program.text(0).contains("finished") else { throw SuiteError(program.text(1)) }
    return program
  }

  private(set) lazy var hostPID = Result { () throws -> Int32 in
    try start([tools.probe, "neighbour", "\(tag)-host"]).processID
  }

  /// Of another runtime: a container beside the attacked one, that leaves traces; a process in it.
  private(set) lazy var neighbourContainer = Result { () throws -> Int32 in
    let command = ["neighbour", "\(tag)-neighbour"]
    try start((adapter ?? []) + command)
    // The runtime's own command line has these words too, with others before.
    let found = File.list("/proc").compactMap(Int32.init).first { pid in
      let words = File.text("/proc/\(pid)/cmdline").split(separator: "\0").map(String.init)
      return words.count == 3 && Array(words.dropFirst()) == command
    }
    guard let found else { throw SuiteError("no process of the neighbour is seen") }
    return found
  }

  /// A slice for commands: its service only waits.
  private(set) lazy var idle = Result { () throws -> String in try slice() }

  /// A slice beside the attacked one, that leaves traces.
  private(set) lazy var neighbour = Result { () throws -> String in
    let name = try slice(service: ["neighbour", "\(tag)-neighbour"])
    try waitForService(name)
    return name
  }

  /// A slice with raw sockets, and what it has sent by them.
  private(set) lazy var granted = Result { () throws -> String in try grantedSlice() }
  private(set) lazy var grantedPackets = Result { () throws -> GrantedPackets in
    try GrantedPackets(self)
  }
  private(set) lazy var overlay = Result { () throws -> TestOverlay in try TestOverlay(self) }
  private(set) lazy var sharing = Result { () throws -> SharingSlices in try SharingSlices(self) }

  private(set) lazy var forgedPackets = Result { () throws -> ForgedPackets in
    try ForgedPackets(self)
  }
  var packets: ForgedPackets { get throws { try forgedPackets.get() } }

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
    let name = try slice(service: ["service"] + texts(attempts))
    attackedSlice = name
    try waitForService(name)
    return name
  }
  private(set) var attackedSlice: String?

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
    for overlay in overlays { attempt { try slicectl(["overlay", "delete", overlay]) } }
    for image in images { attempt { try slicectl(["image", "remove", image]) } }
    // With what an attack that worked has made there.
    if let complaint = File.remove(directory) { complaints.append(complaint) }
    return complaints
  }
}
