import SliceConformance
import SystemTestSupport
import Testing

/// Takes away what sliced, slicectl and the classifier check, one thing at a time. Each names the cases that must
/// notice; the others of its concern must go on passing.
@Suite(.requiresSlices, .requiresProgram("/usr/bin/musl-gcc"), .serialized)
struct SupervisorMutationTests {
  struct Row: Sendable, CustomTestStringConvertible {
    let mutation: Mutation
    /// What is run.
    let patterns: [String]
    /// What of it must fail, and nothing else.
    let failing: Set<String>
    var testDescription: String { mutation.name }

    init(_ mutation: Mutation, run patterns: [String], failing: Set<String>) {
      self.mutation = mutation
      self.patterns = patterns
      self.failing = failing
    }
  }

  private static let checks = [
    Row(
      Mutation("owners", .authorization),
      run: ["supervisor.foreign-slice", "supervisor.names", "overlay.foreign", "capture"],
      failing: ["supervisor.foreign-slice", "overlay.foreign", "capture.foreign"]),
    Row(
      Mutation("administrators", .authorization), run: ["supervisor.stop-all"],
      failing: ["supervisor.stop-all"]),
    Row(
      Mutation("names", .validation), run: ["supervisor.names", "supervisor.values"],
      failing: ["supervisor.names"]),
    Row(
      Mutation("values", .validation), run: ["supervisor.names", "supervisor.values"],
      failing: ["supervisor.values"]),
    Row(Mutation("streams", .validation), run: ["descriptor"], failing: ["descriptor.given"]),
    Row(
      Mutation("message-size", .messageBounds), run: ["supervisor.large-message"],
      failing: ["supervisor.large-message"]),
    Row(
      Mutation("connections", .messageBounds), run: ["supervisor.many-connections"],
      failing: ["supervisor.many-connections"]),
    Row(
      Mutation("device-program", .deviceProgram), run: ["device"], failing: ["device.open"]),
    Row(Mutation("terminals", .ownTerminal), run: ["terminal"], failing: ["terminal.foreign"]),
    Row(
      Mutation("groups", .identity, change: .sliceInit("groups.h")), run: ["identity"],
      failing: ["identity.exact"]),
    Row(
      Mutation("escaping", .escaping, change: .client), run: ["supervisor.escapes"],
      failing: ["supervisor.escapes"]),
    Row(
      Mutation("environment", .environment, change: .client), run: ["descriptor"],
      failing: ["descriptor.environment"]),
    Row(
      Mutation("path-resolution", .pathResolution), run: ["image", "race"],
      failing: ["image.link-srv", "image.link-srv-a", "image.link-var", "race.paths"]),
  ]

  private static let classifierSource = "classifier/classifier.bpf.c"
  private static let dropsNothing =
    "#include <linux/pkt_cls.h>\n#undef TC_ACT_SHOT\n#define TC_ACT_SHOT TC_ACT_OK"

  /// What is called in a source of the broker, or of a program of the kernel's, is something else.
  private static let calls = [
    Row(
      Mutation(
        "broker that lets a program's filter take the place of the policy", .rawBroker,
        change: .broker(
          "serve.c",
          """
          #include <sys/socket.h>
          #include "filter.h"
          #define filter_attach(socket, grants, class, domain, own, count) \
            ((own) != NULL ? filter_attach_own(socket, own, count) \
                         : setsockopt(socket, SOL_SOCKET, SO_DETACH_FILTER, &(int){0}, sizeof(int)))
          """)),
      run: ["raw"], failing: ["raw.filter"]),
    Row(
      Mutation(
        "broker that opens whatever is asked for", .rawBroker,
        change: .broker(
          "serve.c",
          """
          #include "grants.h"
          #define grants_classify(grants, domain, type, protocol) CLASS_PROTOCOL
          """)),
      // Its own checks refuse everything else then.
      run: ["raw.refused", "raw.port"], failing: ["raw.refused"]),
    Row(
      Mutation(
        "broker that leaves open what was withdrawn", .rawBroker,
        change: .broker(
          "control.c",
          """
          #include "grants.h"
          #define grants_keep(now, earlier, class, domain, protocol) true
          """)),
      run: ["raw"], failing: ["raw.withdrawn"]),
    Row(
      Mutation("raw-options", .argumentFilter), run: ["raw"], failing: ["raw.options"]),
    Row(
      Mutation(
        "raw program", .rawProgram,
        // With its word for the other end, which drops what has none.
        change: .kernelProgram(
          "raw/raw.bpf.c",
          "#include <linux/pkt_cls.h>\n#undef TC_ACT_SHOT\n#define TC_ACT_SHOT pass(skb)")),
      run: ["raw"], failing: ["raw.port", "raw.protocol", "raw.withdrawn"]),
    Row(
      Mutation(
        "overlay programs", .overlayPrograms,
        change: .kernelProgram("classifier/overlay.bpf.c", dropsNothing)),
      run: ["overlay"], failing: ["overlay.mac", "overlay.protocol"]),
    Row(
      Mutation(
        "classifier without PORT, other identifiers and flows", .classifier, .flowAudit,
        change: .kernelProgram(
          classifierSource,
          """
          #include "shared.h"
          #define DROP_PORT PASS
          #define rename_echo(skb, offset, icmp, identifier) 0
          #include "audit.h"
          #define count_departure(skb, link) ((void)0)
          """)),
      run: ["shared", "flows"], failing: ["shared.port", "shared.echo", "flows.sender"]),
  ]

  /// Reasons for which the classifier drops are none any more (CShims/classifier/maps.h).
  private static func classifier(_ reasons: String..., failing: [String]) -> Row {
    let lines = reasons.map { "#define DROP_\($0) PASS" }.joined(separator: "\n")
    return Row(
      Mutation(
        "classifier without \(reasons.joined(separator: ", "))", .classifier,
        change: .kernelProgram(classifierSource, "#include \"maps.h\"\n" + lines)),
      run: ["packet"], failing: Set(failing.map { "packet.\($0)" }))
  }

  /// Several at once where they don't meet: each has cases of its own.
  private static let packets = [
    classifier(
      "SOURCE_MAC", "FRAGMENT", "NEIGHBOUR_DISCOVERY", "TO_HOST",
      failing: [
        "source-mac", "fragment-tcp", "fragment-overlap", "fragment-tiny", "redirect",
        "neighbour-advertisement", "loopback",
      ]),
    classifier(
      "VLAN", "SOURCE_IPV6", "ICMP", "MULTICAST",
      failing: ["vlan", "source-ipv6", "foreign-error", "broadcast"]),
    classifier(
      "SOURCE_IPV4", "PROTOCOL",
      failing: ["source-ipv4", "source-neighbour", "protocol-ipv4", "protocol-ipv6"]),
    // What it doesn't know it drops for three reasons, one after the other.
    classifier(
      "ARP", "PROTOCOL", "TO_HOST", failing: ["arp", "protocol-ipv4", "protocol-ipv6", "loopback"]),
    classifier(
      "ETHERTYPE", "PROTOCOL", "TO_HOST",
      failing: ["ethertype", "protocol-ipv4", "protocol-ipv6", "loopback"]),
    classifier(
      "MALFORMED", "PROTOCOL", "TO_HOST",
      failing: ["version", "protocol-ipv4", "protocol-ipv6", "loopback"]),
  ]

  /// It drops nothing.
  private static let openClassifier = Mutation(
    "classifier", .classifier,
    change: .kernelProgram(classifierSource, dropsNothing))

  @Test(arguments: checks + calls + packets) func eachIsNoticedByItsCases(row: Row) throws {
    let found = try Verdicts(row.mutation, row.patterns)
    row.mutation.judge(found)
    #expect(found.failed == row.failing, "\(row.mutation)")
  }

  /// The control of all rows, and what needs all of the classifier.
  @Test func theyPassOtherwise() throws {
    let patterns = Set((Self.checks + Self.calls + Self.packets).flatMap(\.patterns)).sorted()
    let plain = try Verdicts(nil, patterns)
    #expect(plain.isGood, "\(plain.failed)")
    let open = try Verdicts(Self.openClassifier, ["packet", "raw.source"])
    Self.openClassifier.judge(open)
    #expect(
      open.failed
        == plain.passed.filter { $0.hasPrefix("packet.") }
        .subtracting(["packet.own", "packet.sniff"]).union(["raw.source"]))
  }
}
