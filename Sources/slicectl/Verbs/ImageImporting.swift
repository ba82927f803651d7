import ArgumentParser
import Glibc
import SliceClient
import SliceInterface
import SliceModel

struct ImageImporting: Verb {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Make an image of a directory, a tar file or an OCI image.",
    discussion: """
      SOURCE is a directory, a tar file (plain, gz, xz or zst), an OCI image layout (a directory or \
      a tar of one), or - for a tar on standard input. Only what you may read is imported.

        slicectl image import ./rootfs --name debian
        slicectl image import alpine.tar.gz
        docker export box | slicectl image import - --name box
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "Where the image comes from.", completion: .file())
  var source: String

  @Option(help: "What to call it. (default: the source's base name)")
  var name: String?

  @Option(help: "Which image of an OCI layout that has several.")
  var tag: String?

  @Flag(help: "SOURCE is an OCI image layout, where that doesn't show: compressed, or from a pipe.")
  var oci = false

  var operation: String { "image import \(source.escapedForTerminal)" }

  func perform() throws {
    let source = try ImageSource(source)
    let job = try ImageImport(
      source, name: imageName(of: source), kind: oci ? .oci : nil, tag: tag, to: supervisor)
    let progress = ProgressDisplay(
      label: "importing", isWanted: !global.quiet && !global.json)
    defer { progress.clear() }
    switch try job.run(onProgress: progress.show) {
    case .imported(let image):
      progress.clear()
      output.print(ImportReport(image: image))
    case .interrupted(let signal):
      throw ExitCode(128 + signal)
    }
  }

  private func imageName(of source: ImageSource) throws(SliceError) -> String {
    guard let name = name ?? source.suggestedName else {
      throw SliceError(.usage, "the image needs a name", hint: "give one with --name")
    }
    guard ImageReference.isName(name) else {
      throw SliceError(
        .usage, "'\(name.escapedForTerminal)' is not an image name",
        hint: "use lower-case letters, digits, '.', '_' and '-', for example debian-12")
    }
    return name
  }
}
