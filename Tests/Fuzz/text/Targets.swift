import FoundationEssentials
import SliceConfiguration
import SliceInterface
import SliceModel

@testable import Varlink

/// slice.toml, and a file of system call rules.
func fuzzSpec(_ bytes: [UInt8]) -> Int32 {
  if let rules = try? SeccompFile.parse(bytes: bytes, fileName: "f") {
    var settings = Settings()
    for rule in rules { try! settings.set(rule.key, to: rule.text) }
    _ = try? settings.systemCallRules()
  }
  guard let file = try? SliceFile.parse(bytes: bytes, fileName: "f") else { return 0 }
  let settings = file.spec.settings
  precondition(try! Settings(texts: settings.texts) == settings, "settings come back otherwise")
  let again = try! JSONDecoder().decode(SliceSpec.self, from: JSONEncoder().encode(file.spec))
  precondition(again == file.spec, "a spec comes back otherwise")
  _ = try? file.spec.validate()
  return 0
}

func fuzzPolicy(_ bytes: [UInt8]) -> Int32 {
  _ = try? NodePolicyFile.parse(bytes: bytes, fileName: "f")
  return 0
}

/// A message as the server takes it: the guard, the envelope, then the parameters of every method.
func fuzzMessage(_ bytes: [UInt8]) -> Int32 {
  let limits = VarlinkServer.Limits()
  let messageGuard = MessageGuard(
    maximumDepth: limits.messageDepth, maximumValues: limits.messageValues)
  guard (try? messageGuard.check(bytes)) != nil else { return 0 }
  let text = Data(bytes)
  guard (try? JSONDecoder().decode(CallHeader.self, from: text)) != nil else { return 0 }
  func parameters<Parameters: Decodable>(_ type: Parameters.Type) -> Parameters? {
    try? decodeParameters(type, from: text)
  }
  if let call = parameters(CreateCall.Parameters.self) { _ = try? call.spec.validate() }
  if let call = parameters(SetCall.Parameters.self) {
    _ = try? Settings(texts: call.changes)
  }
  _ = parameters(NameParameters.self)
  _ = parameters(StopCall.Parameters.self)
  _ = parameters(KillCall.Parameters.self)
  _ = parameters(RenewCall.Parameters.self)
  _ = parameters(LogsCall.Parameters.self)
  _ = parameters(FlowsCall.Parameters.self)
  _ = parameters(ExecuteCall.Parameters.self)
  _ = parameters(SignalExecutionCall.Parameters.self)
  _ = parameters(ImageImportCall.Parameters.self)
  _ = try? JSONDecoder().decode(MemberNames.self, from: text)
  return 0
}

/// The parser of large documents, which writes as it reads.
func fuzzJSON(_ bytes: [UInt8]) -> Int32 {
  guard let value = try? JSONValue(parsing: bytes) else { return 0 }
  for pretty in [false, true] {
    let again = try! JSONValue(parsing: value.utf8(pretty: pretty))
    precondition(again == value, "a document comes back otherwise")
  }
  _ = value.text(pretty: true)
  return 0
}
