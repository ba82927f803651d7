import SliceModel

/// Networks of slices' own: what a member sends into one, and who else gets there.
///
/// As with `packet.*` the sockets are root's of the host, in a member's network namespace: what is judged are the
/// programs on the overlay's links.
enum OverlayCases {
  static let all: [ConformanceCase] =
    [
      // The kernel's own check of the way back (rp_filter) would hold it as well.
      ("source", "from another member's address", "RFC 2827", "udp:9", isAlone: false),
      ("mac", "from a foreign MAC address", "CVE-2021-32575", "mac:9", isAlone: true),
      ("protocol", "of a protocol that overlays don't carry", "RFC 7348", "gre", isAlone: true),
    ].map { name, what, reference, kind, isAlone in
      .script(
        "overlay.\(name)", "a member sends nothing into its overlay \(what)", reference,
        needs: isAlone ? [.overlayPrograms] : [], depth: isAlone ? [] : [.overlayPrograms]
      ) { try $0.overlay.get().forge(name, kind, $0) }
    } + [
      .script(
        "overlay.outsider", "whoever is no member reaches no member", "RFC 7348",
        depth: [.overlayPrograms, .networkNamespace]
      ) { try $0.overlay.get().approach($0) },
      .script(
        "overlay.foreign", "an owner neither joins, reads nor removes another owner's overlay",
        "unix(7), SO_PEERCRED", needs: [.authorization]
      ) { try $0.overlay.get().touch($0) },
    ]
}

/// An overlay of the suite's own with three members.
struct TestOverlay {
  private let name: String
  private let members: [(slice: String, address: String)]

  init(_ bed: TestBed) throws {
    name = try bed.makeOverlay()
    let name = name
    members = try (0..<3).map { _ in
      let slice = try bed.slice()
      guard let address = try bed.json(["overlay", "join", name, slice])["address"].string else {
        throw SuiteError("\(slice) has no address in \(name)")
      }
      return (slice, address)
    }
  }

  /// Sends from the first member to the second, and looks there: what is forged, what bare links would carry, and an
  /// honest datagram.
  func forge(_ attack: String, _ kind: String, _ bed: TestBed) throws -> Verdict {
    let (sender, receiver) = (members[0], members[1])
    let source = attack == "source" ? members[2].address : sender.address
    let forged = "overlay.\(attack)"
    let seen = try bed.sights(
      of: [forged, "overlay.end"], at: name, of: bed.initProcess(of: receiver.slice), .arriving
    ) {
      try bed.inject(
        from: sender.slice, name, kind, source: source, to: receiver.address, text: forged)
      try bed.inject(
        from: sender.slice, name, "udp:9", source: sender.address, to: receiver.address,
        text: "overlay.end")
    }
    guard seen[forged] == 0 else {
      return .fail("\(seen[forged]) of the packets reached the other member")
    }
    guard seen.ended else { return .error("honest packets don't pass either") }
    // The control: the same packet, looked at before it is judged.
    let sent = try bed.sights(
      of: [forged], at: name, of: bed.initProcess(of: sender.slice), .leaving
    ) {
      try bed.inject(
        from: sender.slice, name, kind, source: source, to: receiver.address, text: forged)
    }
    return sent.ended ? .pass : .error("the control: the forged packet was never sent")
  }

  /// From a slice of the same owner that is no member, and from the host.
  func approach(_ bed: TestBed) throws -> Verdict {
    let receiver = members[1]
    let words = { (text: String) in ["say", text, "9", receiver.address] }
    let seen = try bed.sights(
      of: ["overlay.slice", "overlay.host", "overlay.end"], at: name,
      of: bed.initProcess(of: receiver.slice), .arriving
    ) {
      _ = try bed.probe(in: bed.idle.get(), words("overlay.slice"))
      _ = try bed.probe(words("overlay.host"))
      _ = try bed.probe(in: members[0].slice, words("overlay.end"))
    }
    guard seen["overlay.slice"] == 0 else { return .fail("a slice that is no member reached one") }
    guard seen["overlay.host"] == 0 else { return .fail("the host reached a member") }
    return seen.ended ? .pass : .error("the control: members don't reach each other either")
  }

  func touch(_ bed: TestBed) throws -> Verdict {
    for arguments in [
      ["inspect", name], ["join", name, members[0].slice], ["leave", name, members[0].slice],
      ["delete", name],
    ] {
      let result = try bed.asStranger(["overlay"] + arguments)
      guard result.status == 4 || result.status == 3 else {
        return .fail("another user had status \(result.status) for overlay \(arguments[0])")
      }
    }
    let own = try bed.json(["overlay", "inspect", name])["members"].array
    return own?.count == members.count ? .pass : .fail("a member is missing afterwards")
  }
}

extension TestBed {
  /// An overlay with a subnet that nothing here has; it is removed at the end.
  func makeOverlay() throws -> String {
    // An interface has this name in every member.
    let name = "cf" + tag.suffix(6)
    var complaint = ""
    for subnet in ["10.213.213.0/24", "172.30.213.0/24", "192.168.213.0/24"] {
      try interruption.check()
      let result = try slicectl(
        ["overlay", "create", name, "--subnet", subnet], completes: true)
      if result.status == 0 {
        overlays.append(name)
        return name
      }
      complaint = result.complaint
      // Refused by policy, or by a kernel that has none.
      guard result.status == 1 else { throw Unenforceable(reason: complaint) }
    }
    throw SuiteError(complaint)
  }
}
