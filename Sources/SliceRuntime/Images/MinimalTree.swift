import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// The image `minimal`: one static busybox and its names.
enum MinimalTree {
  static func content(_ layout: NodeLayout) throws(SliceError) -> TreeContent {
    let path = layout.programs + "/busybox"
    let (program, applets) = try reporting(
      "read \(path)", hint: "is the installation complete?"
    ) { () throws(SystemError) in
      (try Files.read(path, limit: 16 << 20), try list(path))
    }
    var tree = TreeContent()
    EtcFiles.addSkeleton(to: &tree)
    for directory in ["bin", "sbin", "usr", "usr/bin", "usr/sbin"] {
      tree.add(directory, .directory(mode: 0o755))
    }
    tree.add("bin/busybox", .file(program, mode: 0o755))
    for applet in applets where applet != "busybox" && !applet.contains("/") {
      tree.add("bin/" + applet, .link("busybox"))
    }
    return tree
  }

  /// The names under which this busybox does something.
  private static func list(_ path: String) throws(SystemError) -> [String] {
    let (reader, writer) = try Pipe.make(label: "busybox --list")
    let process = try start(path, output: writer.shared)
    writer.close()
    let lines = LineReader(reader)
    var names: [String] = []
    while let line = lines.next() { names.append(String(decoding: line, as: UTF8.self)) }
    _ = try process.wait()
    return names.sorted()
  }

  /// A function of its own, so that the plan and with it the pipe's writing end are gone after it:
  /// otherwise the end of the output would never come.
  private static func start(_ path: String, output: SharedFD) throws(SystemError) -> PidFD {
    let null = SharedFD(try Files.open("/dev/null", O_RDWR), label: "/dev/null")
    let plan = LaunchPlan(
      steps: [], descriptors: [null, output, null],
      executable: SharedFD(try Files.open(path, O_RDONLY), label: path),
      arguments: ["busybox", "--list"], environment: [], reportIsInherited: false)
    do {
      return try plan.run()
    } catch {
      throw SystemError(code: error.code, operation: "run", subject: path)
    }
  }
}
