import Descriptor
import FoundationEssentials
import Glibc
import SliceKernel
import SliceModel

/// The records of a node's slices, one file each, replaced as a whole.
public struct RecordStore: Sendable {
  private let layout: NodeLayout

  public init(layout: NodeLayout) { self.layout = layout }

  public func save(_ record: SliceRecord) throws(SliceError) {
    let path = try layout.slice(SliceName(record.name)).record
    try RecordFile.write(record, to: path, of: record.name)
  }

  /// Takes a record away, so that no crash brings it back. One that is not there is fine.
  public func remove(_ name: SliceName) throws(SliceError) {
    let path = layout.slice(name).record
    try reporting("remove the record of \(name)") { () throws(SystemError) in
      guard Files.exists(path) else { return }
      try Files.remove(path)
      try Files.syncDirectory(Files.parent(of: path))
    }
  }

  /// Every record; a directory without one is an orphan. One that is there and cannot be read is an
  /// error: whoever takes it for an orphan deletes a slice's data.
  public func load() throws(SliceError) -> (records: [SliceRecord], orphans: [String]) {
    let names = try reporting("read the records") { () throws(SystemError) in
      try Files.list(layout.slices)
    }
    var records: [SliceRecord] = []
    var orphans: [String] = []
    for name in names {
      if let record = try read(name) {
        records.append(record)
      } else {
        orphans.append(name)
      }
    }
    return (records, orphans)
  }

  /// Of a record; far above what a client's message can hold, however its text is escaped.
  private static let mostBytes = 16 << 20

  private func read(_ name: String) throws(SliceError) -> SliceRecord? {
    let path = layout.slices + "/" + name + "/slice.json"
    do {
      let bytes = try Files.read(path, limit: Self.mostBytes)
      let record = try JSONDecoder().decode(SliceRecord.self, from: Data(bytes))
      guard try SliceName(name).text == record.name else {
        throw SliceError(.failed, "it is the record of '\(record.name.escapedForTerminal)'")
      }
      return record
    } catch let error as SystemError where error.code == ENOENT || error.code == ENOTDIR {
      return nil
    } catch {
      throw SliceError(
        .failed, "read the record \(path): \(error)",
        hint: "mend it, or move its directory away")
    }
  }
}
