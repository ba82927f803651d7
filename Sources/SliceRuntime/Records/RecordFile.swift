import Descriptor
import FoundationEssentials
import SliceKernel
import SliceModel

/// How records are written: as JSON for people too, and as a whole, so that no crash leaves half of one.
enum RecordFile {
  /// - Parameter subject: whose record it is, for errors.
  static func write(
    _ record: some Encodable, to path: String, of subject: String
  ) throws(SliceError) {
    let bytes: [UInt8]
    do {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      bytes = Array(try encoder.encode(record))
    } catch {
      throw SliceError(.failed, "encode the record of \(subject): \(error)")
    }
    try reporting("save the record of \(subject)") { () throws(SystemError) in
      try Files.replace(path, with: bytes)
    }
  }
}
