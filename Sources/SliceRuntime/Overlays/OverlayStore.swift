import Descriptor
import FoundationEssentials
import SliceKernel
import SliceModel

/// The records of a node's overlays, one file each, replaced as a whole.
struct OverlayStore: Sendable {
  private let directory: String
  private static let suffix = ".json"

  init(layout: NodeLayout) { directory = layout.overlays }

  private func path(_ name: String) -> String { directory + "/" + name + Self.suffix }

  func save(_ record: OverlayRecord) throws(SliceError) {
    try RecordFile.write(record, to: path(record.name), of: "overlay \(record.name)")
  }

  /// One that is not there is fine.
  func remove(_ name: String) throws(SliceError) {
    try reporting("remove the record of overlay \(name)") { () throws(SystemError) in
      try Files.remove(path(name))
      try Files.syncDirectory(directory)
    }
  }

  /// Every record. One that can't be read is an error: whoever takes it for nothing deletes an overlay.
  func load() throws(SliceError) -> [OverlayRecord] {
    let names = try reporting("read the overlays") { () throws(SystemError) in
      try Files.list(directory)
    }
    var records: [OverlayRecord] = []
    // What else is there is a file that was being written.
    for name in names where name.hasSuffix(Self.suffix) {
      let path = directory + "/" + name
      do {
        let record = try JSONDecoder().decode(
          OverlayRecord.self, from: Data(try Files.read(path)))
        guard record.name + Self.suffix == name else {
          throw SliceError(.failed, "it is the record of '\(record.name.escapedForTerminal)'")
        }
        records.append(record)
      } catch {
        throw SliceError(
          .failed, "read the record \(path): \(error)", hint: "mend it, or move it away")
      }
    }
    return records
  }
}
