/// Who a command runs as.
enum IdentityCases {
  static let all: [ConformanceCase] = [
    .probe(
      "identity.users", "no user of the slice is one of the host's", "user_namespaces(7)",
      needs: [.userNamespace]),
    .probe(
      "identity.groups", "no group of the slice is one of the host's", "user_namespaces(7)",
      needs: [.userNamespace]),
    .probe(
      "identity.become", "an id outside of the slice's range is not had", "user_namespaces(7)",
      needs: [.userNamespace]),
    .probe(
      "identity.give-away", "no file is given to an id outside of the slice's range",
      "user_namespaces(7)", needs: [.userNamespace]),
    .script(
      "identity.exact", "a command gets exactly the user and groups that the image's files say",
      "CVE-2022-2989", needs: [.identity], exact),
    .script(
      "identity.odd", "a user that can't be is an error, never another user",
      "CVE-2026-30892, CVE-2019-16884", needs: [.identity], odd),
  ]

  private static func exact(_ bed: TestBed) throws -> Verdict {
    let slice = try bed.idle.get()
    for (user, expected) in [
      (nil, "0:0:"), ("root", "0:0:"), ("alice", "1001:1001:2001,2002"),
      ("1001", "1001:1001:2001,2002"),
      ("bob", "1002:1002:"), ("alice:bob", "1001:1002:2001,2002"), ("4711", "4711:0:"),
      ("65535", "65535:0:"),
      ("4711:4712", "4711:4712:"),
    ] {
      let result = try bed.probe(in: slice, ["run", "identity.is=\(expected)"], user: user)
      guard let answer = ProbeAnswer.all(in: result.output).values.first else {
        return .error("--user \(user ?? "left out"): \(result.complaint)")
      }
      if answer.outcome == .broken {
        // Groups of a user without a name are a matter of taste, between none and their own.
        if let user, expected.hasSuffix(":0:"), answer.detail.hasPrefix("\(user):") { continue }
        return .fail("--user \(user ?? "left out"): \(answer.text)")
      }
    }
    let control = ProbeAnswer.all(in: try bed.probe(["run", "identity.is=1:1:"]).output).values
      .first
    return control?.outcome == .broken
      ? .pass : .error("the control: \(control?.text ?? "no answer")")
  }

  private static func odd(_ bed: TestBed) throws -> Verdict {
    let slice = try bed.idle.get()
    for user in [
      "-1", "65536", "4294967295", "4294967296", "18446744073709551616", "0x0",
      "00000000000000000000000", " 0",
      "0 ", "root\n", "roo", "rootx", ":0", "0:", "0:0:0", "../root", "alice:nobody-of-that-name",
      "1e3",
      "+0", "",
    ] {
      let result = try bed.probe(in: slice, ["run", "identity.is=none"], user: user)
      guard let answer = ProbeAnswer.all(in: result.output).values.first else { continue }
      // Zeros are still a number, and 0 with them.
      if Set(user) == ["0"], answer.detail.hasPrefix("0:0:") { continue }
      return .fail("--user '\(user)' ran as \(answer.detail)")
    }
    // That commands do run here, with a user that can be.
    let control = try bed.probe(in: slice, ["run", "identity.is=1002:1002:"], user: "bob")
    return control.status == 0 ? .pass : .error("the control: \(control.complaint)")
  }
}
