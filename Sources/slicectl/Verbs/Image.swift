import ArgumentParser

struct Image: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "image",
    abstract: "Look after the images that slices start from.",
    discussion: """
      'host' (the host's own programs, read-only, nothing of its data) and 'minimal' (a static \
      busybox) are always there.

        slicectl image import ./rootfs --name debian
        slicectl image list
      """,
    subcommands: [ImageList.self, ImageImporting.self, ImageRemove.self, ImageInspect.self])
}
