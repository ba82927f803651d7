import CKernel
import Descriptor
import FoundationEssentials
import Glibc
import SliceKernel
import SliceModel

/// Runs slice-unpack where a hostile archive can do no harm: own namespaces of every kind, an empty
/// network, a root directory that is the staging directory alone, five capabilities over it, and a
/// filter of the calls it needs.
public struct UnpackSandbox: Sendable {
  private let program: SharedFD
  private let null: SharedFD
  private let stage: String
  private let filter: SeccompProgram
  private let capabilities: CapabilitySet

  public init(layout: NodeLayout) throws(SliceError) {
    stage = layout.stage
    (program, null) = try reporting("open slice-unpack", hint: "is the installation complete?") {
      () throws(SystemError) in
      (
        SharedFD(
          try Files.open(layout.programs + "/slice-unpack", kernel_path_only),
          label: "slice-unpack"),
        SharedFD(try Files.open("/dev/null", O_RDWR), label: "/dev/null")
      )
    }
    filter = try SeccompProgram(
      name: "slice-unpack", rules: Self.calls.map { SeccompRule($0, .allow) },
      otherwise: .fail(EPERM))
    capabilities = try CapabilitySet(names: [
      "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_SETFCAP",
    ])
  }

  /// As CShims/unpack/main.c lists them.
  private static let calls = """
    execveat exit exit_group read write pwrite64 lseek close openat openat2 getdents64 newfstatat \
    fstat mkdirat mknodat symlinkat linkat unlinkat ftruncate fchown fchownat fchmod utimensat \
    fsetxattr fgetxattr flistxattr readlinkat syncfs fcntl uname umask getrandom clock_gettime \
    rt_sigaction arch_prctl set_tid_address set_robust_list rseq prlimit64 readlink mprotect brk \
    mmap munmap mremap madvise rt_sigreturn futex
    """.split(separator: " ").map(String.init)

  func unpack(
    _ form: ImageImport.Form, tag: String?, archive: SharedFD, into staging: String,
    progress: (ImageImport.Progress) -> Bool
  ) throws(SliceError) -> UnpackResult {
    let (reader, writer) = try reporting("pipe") { () throws(SystemError) in
      try Pipe.make(label: "progress")
    }
    let process = try start(form, tag: tag, archive: archive, staging: staging, writer: writer)
    let lines = LineReader(reader)
    var result: UnpackResult?
    var failure: SliceError?
    // Our own end of the pipe must be closed for the end of file to come.
    writer.close()
    var latest = ImageImport.Progress(readBytes: 0, entries: 0)
    while true {
      // An archive that does not go on must not outlive who gives it.
      guard lines.isReady(within: 1000) || progress(latest) else {
        failure = giveUp(process)
        break
      }
      guard lines.isReady(within: 0) else { continue }
      guard let line = lines.next() else { break }
      guard let json = Self.parse(line) else { continue }
      if case .object = json["result"] {
        result = try UnpackResult(json["result"])
      } else if let message = json["error"]["message"].string {
        let entry = json["error"]["entry"].string.map { " (\($0))" } ?? ""
        failure = SliceError(
          .failed, message.escapedForTerminal + entry.escapedForTerminal,
          hint: "nothing was imported")
      } else {
        latest = ImageImport.Progress(
          readBytes: UInt64(clamping: json["progress"]["readBytes"].integer ?? 0),
          entries: Int(json["progress"]["entries"].integer ?? 0))
        if !progress(latest) {
          failure = giveUp(process)
          break
        }
      }
    }
    let status = try reporting("wait for slice-unpack") { () throws(SystemError) in
      try process.wait()
    }
    if let failure { throw failure }
    guard status.isSuccess, let result else {
      throw SliceError(.failed, "slice-unpack \(status)")
    }
    return result
  }

  private func giveUp(_ process: PidFD) -> SliceError {
    try? process.signal(SIGKILL)  // ESRCH: it has ended by itself
    return SliceError(.failed, "given up by the caller")
  }

  private func start(
    _ form: ImageImport.Form, tag: String?, archive: SharedFD, staging: String,
    writer: ClosableFD
  ) throws(SliceError) -> PidFD {
    let (tree, identity) = try reporting("prepare the sandbox") { () throws(SystemError) in
      (
        try MountTree.clone(
          staging, attributes: [.noSetuid, .noDevices, .noExecute], label: "staging directory"),
        // Ids as they are: the tree belongs to the ids that its archive says.
        try UserNamespace(range: IDRange(first: 0))
      )
    }
    let plan = LaunchPlan(
      namespaces: [.mount, .pid, .uts, .ipc, .network],
      steps: [
        .newSession, .makeMountsPrivate, .attachToHost(tree, at: stage), .setRoot(stage),
        .pivotRoot, .joinNamespace(identity.descriptor, .user), .becomeRoot,
        .restrictCapabilities(capabilities), .forbidNewPrivileges, .filterSystemCalls(filter),
      ],
      descriptors: [archive, null, null, writer.shared],
      executable: program,
      arguments: ["slice-unpack", form.rawValue] + (tag.map { ["--tag", $0] } ?? [])
        + ["--progress", "3"],
      environment: [],
      reportIsInherited: false)
    do {
      return try plan.run()
    } catch {
      throw SliceError(.failed, "start slice-unpack: \(error)")
    }
  }

  private static func parse(_ line: [UInt8]) -> JSONValue? {
    do {
      return try JSONDecoder().decode(JSONValue.self, from: Data(line))
    } catch {
      return nil  // slice-unpack may have been taken over by its archive: nonsense is no progress
    }
  }
}
