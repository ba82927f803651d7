import SliceModel

// What a reader of one key asks of its value. Every refusal has one form:
// `FILE:LINE:COLUMN: KEY: expected WHAT, found WHAT`.

extension TOMLValue {
  func string(_ expectation: String) throws(SliceError) -> String {
    guard case .string(let text) = content else { throw mismatch(expectation) }
    return text
  }

  func boolean() throws(SliceError) -> Bool {
    guard case .boolean(let value) = content else { throw mismatch("true or false") }
    return value
  }

  func integer(in range: ClosedRange<Int64>) throws(SliceError) -> Int64 {
    guard case .integer(let value) = content, range.contains(value) else {
      throw mismatch("a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  func array(_ expectation: String) throws(SliceError) -> [TOMLValue] {
    guard case .array(let values) = content else { throw mismatch(expectation) }
    return values
  }

  func table(_ expectation: String = "a table") throws(SliceError) -> [TOMLMember] {
    guard case .table(let members) = content else { throw mismatch(expectation) }
    return members
  }

  /// What `parse` makes of the text; nil means that it does not fit the expectation.
  func parsed<Result>(
    _ expectation: String, _ parse: (String) -> Result?
  ) throws(SliceError) -> Result {
    guard let result = parse(try string(expectation)) else { throw mismatch(expectation) }
    return result
  }

  /// Runs a check of the model and says where the value that it refuses is written.
  func check<Result>(
    _ body: () throws(SliceError) -> Result
  ) throws(SliceError) -> Result {
    do throws(SliceError) { return try body() } catch {
      // What is said of a setting begins with its key.
      let subject = error.message.hasPrefix("\(path)=") ? "" : "\(path): "
      throw SliceError(error.code, "\(location): \(subject)\(error.message)", hint: error.hint)
    }
  }

  func mismatch(_ expectation: String, hint: String? = nil) -> SliceError {
    location.error("\(path.shownInMessage): expected \(expectation), found \(found)", hint: hint)
  }

  private var found: String {
    switch content {
    case .string(let text): "'\(text.shownInMessage)'"
    case .integer(let value): "\(value)"
    case .number(let value): "\(value)"
    case .boolean(let value): "\(value)"
    case .dateTime: "a date or time"
    case .array: "an array"
    case .table: "a table"
    }
  }
}

/// Takes a table's members by name and then refuses those that nobody asked for, so that the list
/// of known keys is the code that reads them.
struct TableReader {
  private let members: [TOMLMember]
  private let path: String
  private var known: [String] = []

  init(_ table: TOMLValue) throws(SliceError) {
    members = try table.table()
    path = table.path
  }

  /// A table that is not written at all.
  private init(emptyAt path: String) {
    members = []
    self.path = path
  }

  mutating func take(_ name: String) -> TOMLValue? {
    known.append(name)
    return members.first { $0.name == name }?.value
  }

  /// The table below `name`; an absent one reads as empty.
  mutating func takeTable(_ name: String) throws(SliceError) -> TableReader {
    guard let value = take(name) else { return TableReader(emptyAt: "\(path).\(name)") }
    return try TableReader(value)
  }

  /// To be called when everything was taken.
  func finish() throws(SliceError) {
    guard let member = members.first(where: { !known.contains($0.name) }) else { return }
    throw member.unknown(
      suggestion: nearest(to: member.name, among: known),
      otherwise: "known here: \(known.joined(separator: ", "))")
  }
}

extension TOMLMember {
  /// The error for a key that means nothing.
  func unknown(suggestion: String?, otherwise hint: String) -> SliceError {
    location.error(
      "unknown key '\(value.path.shownInMessage)'",
      hint: suggestion.map { "did you mean '\($0)'?" } ?? hint)
  }
}
