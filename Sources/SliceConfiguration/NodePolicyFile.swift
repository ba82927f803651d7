import SliceModel

/// Reads /etc/slices/node.toml; its keys are described in sliced(8).
///
/// To add a key: a field in `NodePolicy`, a `take` in the function of its table, a line in the man
/// page. A key that no function takes is refused as unknown.
public enum NodePolicyFile {
  /// Reads a text of at most 1 MiB; `fileName` serves the messages alone. What the text leaves out
  /// has `NodePolicy`'s default.
  public static func parse(text: String, fileName: String) throws(SliceError) -> NodePolicy {
    try parse(bytes: Array(text.utf8), fileName: fileName)
  }

  /// As `parse(text:fileName:)`, of a file's content as it is: invalid UTF-8 is an error.
  public static func parse(bytes: [UInt8], fileName: String) throws(SliceError) -> NodePolicy {
    var root = try TableReader(try TOMLValue(parsing: bytes, fileName: fileName))
    var policy = NodePolicy()
    if let value = root.take("admin-group") {
      policy.adminGroup = try value.parsed("the name of a group, in quotes") {
        isGroupName($0) ? $0 : nil
      }
    }
    if let value = root.take("allow-unenforced") { policy.allowUnenforced = try value.boolean() }
    try readNetwork(root.takeTable("network"), into: &policy)
    try readIDs(root.takeTable("ids"), into: &policy)
    try readStorage(root.takeTable("storage"), into: &policy)
    policy.total = try readTotal(root.takeTable("total"))
    policy.reserve = try readReserve(root.takeTable("reserve"))
    policy.defaults = try readDefaults(root.take("defaults"))
    policy.owners = try readOwners(root.take("owners"))
    policy.lease = try readLease(root.takeTable("lease"))
    try root.finish()
    return policy
  }

  private static func readNetwork(
    _ reader: TableReader, into policy: inout NodePolicy
  ) throws(SliceError) {
    var table = reader
    if let value = table.take("pool4") {
      policy.addresses4 = try value.parsed(
        "an IPv4 network of 8 to 30 bits without host bits, such as \"172.31.128.0/17\"",
        AddressPool4.init)
    }
    if let value = table.take("pool6") {
      policy.addresses6 = try value.parsed(
        "an IPv6 network of 16 to 96 bits without host bits, such as \"fd73:6c69:6365::/64\"",
        AddressPool6.init)
    }
    if let value = table.take("ready") {
      policy.readyNamespaces = Int(try value.integer(in: 0...1024))
    }
    if let value = table.take("name-servers") { policy.nameServers = try nameServers(value) }
    if let value = table.take("allow") {
      policy.network.allow = try value.array("an array of networks, in quotes").map {
        (element) throws(SliceError) in
        try element.parsed(
          "an IPv4 or IPv6 network without host bits, such as \"10.1.2.0/24\"", AddressNetwork.init)
      }
    }
    if let value = table.take("host-ports") {
      policy.network.hostPorts = try value.array("an array of ports, in quotes").map {
        (element) throws(SliceError) in
        try element.parsed("a port such as \"123/udp\"", TransportPort.init)
      }
    }
    if let value = table.take("uplinks") {
      policy.network.uplinks = try value.array("an array of links, in quotes").map {
        (element) throws(SliceError) in
        try element.parsed("the name of a link, such as \"eth0\"") { isLinkName($0) ? $0 : nil }
      }
    }
    if let value = table.take("flow-days") {
      policy.flows.days = UInt64(try value.integer(in: 0...3650))
    }
    if let value = table.take("flow-size") {
      policy.flows.bytes = try value.parsed("a size of at least 1M, such as \"512M\"") {
        ByteSize($0).flatMap { $0.bytes < 1 << 20 ? nil : $0.bytes }
      }
    }
    if let value = table.take("shared-ports") {
      policy.network.sharedPorts = try value.parsed(
        "a range of ports such as \"20000-29999\", above 1023, and with 8192 beside it for others",
        SharedPorts.init)
    }
    try table.finish()
  }

  private static func nameServers(_ value: TOMLValue) throws(SliceError) -> [String] {
    var servers: [String] = []
    for element in try value.array("an array of addresses, in quotes") {
      servers.append(
        try element.parsed("an IPv4 or IPv6 address, in quotes") {
          IPv4Address($0)?.description ?? IPv6Address($0)?.description
        })
    }
    return servers
  }

  private static func readIDs(
    _ reader: TableReader, into policy: inout NodePolicy
  ) throws(SliceError) {
    let length = Int64(IDRange.length)
    // The last id of all, 2^32 - 1, means "no id" (chown(2)), so the last whole range is no use.
    let end = Int64(UInt32.max) / length * length
    var table = reader
    let first = table.take("first")
    let ranges = table.take("ranges")
    try table.finish()
    if let first {
      let id = try first.integer(in: length...end - length)
      guard id.isMultiple(of: length) else { throw first.mismatch("a multiple of \(length)") }
      policy.firstUserID = UInt32(id)
    }
    let room = (end - Int64(policy.firstUserID)) / length
    if let ranges {
      policy.userIDRanges = Int(try ranges.integer(in: 1...room))
    } else if let first, Int64(policy.userIDRanges) > room {
      throw first.location.error(
        "ids.first: \(policy.userIDRanges) ranges of \(length) ids do not fit above it",
        hint: "set ids.ranges to at most \(room)")
    }
  }

  private static func readStorage(
    _ reader: TableReader, into policy: inout NodePolicy
  ) throws(SliceError) {
    var table = reader
    if let value = table.take("image") {
      policy.storageImage = try value.parsed("a size of at least 64M, such as \"64G\"") {
        ByteSize($0).flatMap { $0.bytes < 64 << 20 ? nil : $0 }
      }
    }
    if let value = table.take("preallocate") { policy.storagePreallocate = try value.boolean() }
    try table.finish()
  }

  /// What the kernel takes for one (dev_valid_name()), in ASCII.
  static func isLinkName(_ text: String) -> Bool {
    (1...15).contains(text.utf8.count) && text != "." && text != ".."
      && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && !"/:%".utf8.contains($0) }
  }

  /// What useradd(8) makes: also keeps a misplaced path or list out.
  static func isGroupName(_ text: String) -> Bool {
    guard let first = text.utf8.first, text.utf8.count <= 32 else { return false }
    let isLetter = { (byte: UInt8) in
      (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte) || byte == UInt8(ascii: "_")
    }
    let isDigit = { (byte: UInt8) in (0x30...0x39).contains(byte) }
    return isLetter(first)
      && text.utf8.allSatisfy { isLetter($0) || isDigit($0) || "-.".utf8.contains($0) }
  }
}
