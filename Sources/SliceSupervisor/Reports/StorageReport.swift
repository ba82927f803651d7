import SliceKernel
import SliceModel
import SliceRuntime

/// The storage of a slice as `inspect` shows it.
struct StorageReport: Sendable {
  let node: Node

  func report(_ record: SliceRecord) -> JSONValue {
    let use = node.storageUse(record)
    var image: JSONValue = .null
    if case .quotas(_, let file?) = node.storage.bounds {
      // Read anew, because it may have grown; null should it not be readable.
      image = .object([
        "path": .string(file.path), "sizeBytes": JSONValue(try? file.size()),
      ])
    }
    return .object([
      "mode": .string(node.storage.mode),
      "image": image,
      "device": JSONValue(node.device?.description),
      "maxBytes": JSONValue(use?.maxBytes), "usedBytes": JSONValue(use?.usedBytes),
      "maxFiles": JSONValue(use?.maxFiles), "usedFiles": JSONValue(use?.usedFiles),
    ])
  }
}
