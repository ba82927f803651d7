import SliceModel
import SliceRuntime

/// What a caller could still get: the object of `offers --json`.
struct OfferReports: Sendable {
  let node: Node
  let subject: Authorization.Subject

  /// Nil bounds: the caller is not bound. Of others it tells no more than what is promised of the
  /// node's guarantees, and to administrators how many slices there are.
  func offers(within bounds: OwnerBounds?) -> JSONValue {
    let owner = subject.caller.user
    var groups: [String: [String: JSONValue]] = [:]
    for offer in node.offers(owner: owner, within: bounds) {
      let parts = offer.key.rawValue.split(separator: ".").map(String.init)
      groups[parts[0], default: [:]][Self.member(offer.key, parts)] = Self.line(offer)
    }
    var members = groups.mapValues { JSONValue.object($0) }
    let own = node.records().count { $0.owner == owner }
    let free = node.room.slices - node.room.taken
    members["slices"] = .object([
      "node": JSONValue(node.room.slices),
      "promised": subject.isAdministrator ? JSONValue(node.room.taken) : .null,
      "free": subject.isAdministrator ? JSONValue(free) : .null,
      "bound": JSONValue(bounds?.slices), "used": JSONValue(own),
      "left": JSONValue(bounds?.slices.map { max(0, min($0 - own, free)) }),
    ])
    members["owner"] = .string(subject.caller.name)
    members["images"] = strings(bounds.map { $0.images ?? ["*"] } ?? ["*"])
    members["grants"] = strings(bounds.map { $0.grants.sorted() } ?? Grants.kinds)
    // Nil: an administrator may allow any.
    members["networks"] = bounds.map { strings($0.networks.map(\.description)) } ?? .null
    members["ports"] = strings(bounds.map { $0.ports.map(\.description) } ?? ["1-65535"])
    members["lease"] = .object([
      "longestSeconds": JSONValue(
        bounds?.longestLease.map { Double($0.milliseconds) / 1000 }),
      "longest": JSONValue(bounds?.longestLease?.description),
    ])
    return .object(members)
  }

  private func strings(_ texts: [String]) -> JSONValue { .array(texts.map(JSONValue.string)) }

  /// `io.read.iops.max` is `readIopsMax`; with the unit where there is one, as in slicectl(1).
  private static func member(_ key: Key, _ parts: [String]) -> String {
    let rest = parts.dropFirst()
    let words =
      (rest.first ?? "")
      + rest.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    switch key.form {
    case .bytes: return words + "Bytes"
    case .rate: return words + "BitsPerSecond"
    case .cpu: return words + "Cores"
    case .count, .processors, .time, .word, .list, .ports, .flag: return words
    }
  }

  private static func line(_ offer: Admission.Offer) -> JSONValue {
    func value(_ amount: UInt64?) -> JSONValue {
      guard case .cpu = offer.key.form else { return JSONValue(amount) }
      return JSONValue(amount.map { Double($0) / 1000 })
    }
    return .object([
      "node": value(offer.node), "promised": value(offer.promised), "free": value(offer.free),
      "bound": value(offer.bound), "used": value(offer.used), "left": value(offer.left),
    ])
  }
}
