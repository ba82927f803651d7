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
    let bytes: [UInt8]
    do {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      bytes = Array(try encoder.encode(record))
    } catch {
      throw SliceError(.failed, "encode the record of \(record.name): \(error)")
    }
    try reporting("save the record of \(record.name)") { () throws(SystemError) in
      try Files.replace(path, with: bytes)
    }
  }

  /// Every record; a directory without a readable one is an orphan.
  public func load() throws(SliceError) -> (records: [SliceRecord], orphans: [String]) {
    let names = try reporting("read the records") { () throws(SystemError) in
      try Files.list(layout.slices)
    }
    var records: [SliceRecord] = []
    var orphans: [String] = []
    for name in names {
      if let record = read(name) {
        records.append(record)
      } else {
        orphans.append(name)
      }
    }
    return (records, orphans)
  }

  private func read(_ name: String) -> SliceRecord? {
    do {
      let path = try layout.slice(SliceName(name)).record
      let bytes = try Files.read(path)
      let record = try JSONDecoder().decode(SliceRecord.self, from: Data(bytes))
      return record.name == name ? record : nil
    } catch {
      return nil  // what cannot be read is an orphan: the caller says so and removes it
    }
  }
}
