import SliceInterface
import SliceKernel
import SliceModel
import SliceRuntime

extension Request {
  /// - Parameter name: the one of its names to show it under, or its digest.
  private func summary(_ image: StoredImage, as name: String) -> ImageSummary {
    let directory = image.digest.replacing(":", with: "-")
    return ImageSummary(
      name: name, digest: image.digest, kind: .stored,
      sizeBytes: image.bytes, entries: image.entries, importedAt: Clock.text(image.importedAt),
      owner: image.ownerName,
      command: image.defaults.command.isEmpty ? nil : image.defaults.command,
      usedBy: node.users(ofImageDirectory: directory).filter(isVisible))
  }

  /// Names of others' slices are not shown.
  private func isVisible(_ name: String) -> Bool {
    guard let name = try? SliceName(name), let record = try? node.slice(name).record else {
      return false  // destroyed meanwhile
    }
    return subject.maySee(record)
  }

  private func builtIn(_ name: String, _ kind: ImageSummary.Kind) -> ImageSummary {
    ImageSummary(
      name: name, digest: nil, kind: kind, sizeBytes: nil, entries: nil, importedAt: nil,
      owner: nil, command: nil,
      usedBy: node.records().filter { $0.image.name == name && subject.maySee($0) }.map(\.name))
  }

  private var builtIns: [ImageSummary] {
    [builtIn(ImageStore.hostName, .host), builtIn(ImageStore.minimalName, .minimal)]
  }

  func imageList() throws {
    let stored = node.images.all().flatMap { image in
      (image.names.isEmpty ? [image.digest] : image.names).map { summary(image, as: $0) }
    }
    try call.reply(ImageListCall.Reply(images: builtIns + stored.sorted { $0.name < $1.name }))
  }

  func imageInspect() throws {
    let parameters = try call.parameters(as: NameParameters.self)
    if let image = builtIns.first(where: { $0.name == parameters.name }) {
      return try call.reply(ImageInspectCall.Reply(image: image))
    }
    try call.reply(
      ImageInspectCall.Reply(image: summary(stored(parameters.name), as: parameters.name)))
  }

  private func stored(_ reference: String) throws(SliceError) -> StoredImage {
    guard let image = node.images.stored(reference) else {
      throw SliceError(
        .failed, "there is no image '\(reference.escapedForTerminal)'",
        hint: "'slicectl image list' shows the images")
    }
    return image
  }

  func imageImport() throws {
    let parameters = try call.parameters(as: ImageImportCall.Parameters.self)
    let passed = try call.takeDescriptor(0, parameter: "archive")
    try ExecutionRequest.check(passed)
    let archive = SharedFD(passed, label: "archive")
    let form: ImageImport.Form =
      switch parameters.kind {
      case .tar: .tar
      case .oci: .oci
      }
    if let tag = parameters.tag, tag.utf8.count > 256 || tag.utf8.contains(0) {
      throw SliceError(.usage, "the tag is too long")
    }
    // Else an owner bound to some images could bring in any under one of their names.
    try bounds?.admit(image: parameters.name, names: [parameters.name])
    let image = try ImageImport(store: node.images, sandbox: interface.unpack).run(
      form, tag: parameters.tag, archive: archive, name: parameters.name,
      owner: subject.caller.user, ownerName: userName
    ) { progress in
      if call.wantsMore {
        // A client that is gone shows as hung up just below.
        try? call.replyContinues(
          ImageImportCall.Reply(readBytes: progress.readBytes, entries: progress.entries))
      }
      return !call.isHungUp
    }
    try call.reply(ImageImportCall.Reply(image: summary(image, as: parameters.name)))
  }

  func imageRemove() throws {
    let parameters = try call.parameters(as: NameParameters.self)
    guard !builtIns.contains(where: { $0.name == parameters.name }) else {
      throw SliceError(.refused, "image \(parameters.name) belongs to the runtime")
    }
    let image = try stored(parameters.name)
    guard subject.isAdministrator || image.owner == subject.caller.user else {
      throw SliceError(
        .refused, "image \(parameters.name) belongs to \(image.ownerName)",
        hint: "its owner, root and the node's administrators may remove it")
    }
    let users = node.users(ofImageDirectory: image.digest.replacing(":", with: "-"))
    try node.images.remove(parameters.name, users: users)
    try call.reply(Empty())
  }
}
