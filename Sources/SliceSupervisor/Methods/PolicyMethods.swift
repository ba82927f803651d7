import SliceInterface
import SliceModel
import SliceRuntime

extension Request {
  /// What the caller may have; nil: administrators are not bound.
  var bounds: OwnerBounds? {
    guard !subject.isAdministrator else { return nil }
    return node.policy.bounds(
      user: userName,
      groups: Accounts.groups(of: userName, otherwise: subject.group))
  }

  func offers() throws {
    let report = OfferReports(node: node, subject: subject)
    try call.reply(OffersCall.Reply(offers: report.offers(within: bounds)))
  }

  func renew() throws {
    let parameters = try call.parameters(as: RenewCall.Parameters.self)
    let slice = try authorizedSlice(parameters.name)
    let length = parameters.milliseconds.map { TimeSpan(milliseconds: $0) }
    guard length?.milliseconds != 0 else {
      throw SliceError(.usage, "a lease of no time", hint: "give 12h, 7d or the like")
    }
    try reply(node.renew(slice, length: length, by: userName, within: bounds))
  }
}
