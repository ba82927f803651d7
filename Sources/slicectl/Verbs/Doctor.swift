import ArgumentParser
import SliceClient
import SliceModel
import SliceRuntime

struct Doctor: Verb {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Tell what this host can and cannot enforce, and what mends it.",
    discussion: """
      Needs no supervisor. Ends with status 5 where something is missing that every slice needs.

        slicectl doctor
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  var operation: String { "doctor" }

  func perform() throws {
    let findings = HostReport.findings()
    output.print(FindingsReport(findings: findings))
    if findings.contains(where: { $0.status == .missing }) {
      throw ExitCode(SliceError.Code.unenforceable.exitStatus)
    }
  }
}

private struct FindingsReport: Report {
  let findings: [HostFinding]

  func text(_ screen: Screen) -> [String] {
    let width = HostFinding.Status.allCases.map(\.rawValue.count).max() ?? 0
    let indentation = String(repeating: " ", count: width + 2)
    return findings.flatMap { finding in
      let status = finding.status.rawValue
      let padding = String(repeating: " ", count: width - status.count)
      return ["\(status)\(padding)  \(finding.title): \(finding.meaning)"]
        + (finding.remedy.map { ["\(indentation)mend it: \($0)"] } ?? [])
    }
  }

  var json: JSONValue {
    .array(
      findings.map { finding in
        .object([
          "title": .string(finding.title), "status": .string(finding.status.rawValue),
          "meaning": .string(finding.meaning), "remedy": JSONValue(finding.remedy),
        ])
      })
  }
}
