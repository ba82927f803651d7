import CNetlink
import Descriptor
import SliceModel

/// Runs a call of the network shim; its error as a `SliceError` said of `object`.
func network(
  _ object: String, _ call: (UnsafeMutablePointer<cnl_error>) -> Int32
) throws(SliceError) {
  var error = cnl_error()
  let result = call(&error)
  guard result < 0 else { return }
  let operation = error.operation.map { String(cString: $0) } ?? "network call"
  let detail = withUnsafeBytes(of: error.detail) { bytes in
    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
  let reason = SystemError(code: -result, operation: operation, subject: detail)
  throw SliceError(
    result == -95 /* EOPNOTSUPP */ ? .unenforceable : .failed,
    "\(object): \(reason)")
}

/// A text in a fixed C array of characters.
func fill<Array>(_ array: inout Array, with text: String) {
  withUnsafeMutableBytes(of: &array) { bytes in
    bytes.initializeMemory(as: UInt8.self, repeating: 0)
    for (index, byte) in text.utf8.prefix(bytes.count - 1).enumerated() { bytes[index] = byte }
  }
}

/// Bytes in a fixed C array.
func fill<Array>(_ array: inout Array, with content: [UInt8]) {
  withUnsafeMutableBytes(of: &array) { bytes in
    bytes.initializeMemory(as: UInt8.self, repeating: 0)
    for (index, byte) in content.prefix(bytes.count).enumerated() { bytes[index] = byte }
  }
}
