import SliceInterface
import SliceKernel
import SliceModel
import SliceRuntime

/// A slice as the interface shows it.
struct SliceReports: Sendable {
  let node: Node

  func summary(_ record: SliceRecord) -> SliceSummary {
    let addresses = node.addresses(record)
    // Of the last run when none goes on; the file stays until the next start.
    let status = (try? SliceName(record.name)).flatMap(node.status)
    return SliceSummary(
      name: record.name, owner: record.ownerName, state: record.state, image: record.spec.image,
      pid: record.run.map { Int($0.pid) }, ipv4: addresses?.ipv4.description,
      ipv6: addresses?.ipv6?.description, createdAt: Clock.text(record.createdAt),
      startedAt: (record.run?.startedAt).map(Clock.text),
      restarts: status?.restarts ?? 0, lease: (record.lease?.endsAt).map(Clock.text),
      publish: record.spec.settings.publishEntries,
      unenforced: record.unenforced,
      reason: record.reason)
  }

  private func runningStatus(_ record: SliceRecord) -> ServiceStatus? {
    guard record.run != nil, let name = try? SliceName(record.name) else { return nil }
    return node.status(name)
  }

  /// All that is known; the keys are in slicectl(1), "INSPECT".
  func inspection(_ record: SliceRecord) -> JSONValue {
    let spec = record.spec
    let status = runningStatus(record)
    let addresses = node.addresses(record)
    let summary = summary(record)
    return .object([
      "name": .string(record.name),
      "owner": .string(record.ownerName),
      "ownerId": JSONValue(record.owner),
      "state": .string(record.state.rawValue),
      "createdAt": .string(summary.createdAt),
      "startedAt": JSONValue(summary.startedAt),
      "pid": JSONValue(summary.pid),
      "restarts": JSONValue(summary.restarts),
      "image": .object([
        "name": .string(record.image.name), "digest": JSONValue(record.image.digest),
      ]),
      "command": spec.command.map { .array($0.map(JSONValue.string)) } ?? .null,
      "environment": .array(spec.environment.map(JSONValue.string)),
      "user": JSONValue(spec.user),
      "workdir": JSONValue(spec.workdir),
      "restart": .string(spec.restart.rawValue),
      "mounts": .array(
        spec.mounts.map {
          .object(["target": .string($0.target), "sizeBytes": JSONValue($0.sizeBytes)])
        }),
      "settings": .object(
        Dictionary(
          uniqueKeysWithValues: Key.allCases.map {
            ($0.rawValue, JSONValue(spec.settings[$0]?.description))
          })),
      "lease": lease(record.lease),
      "unenforced": .array(record.unenforced.map(JSONValue.string)),
      "network": .object([
        "mode": .string(spec.settings.networkMode.rawValue),
        "ipv4": JSONValue(addresses?.ipv4.description),
        "ipv6": JSONValue(addresses?.ipv6?.description),
        "ports": JSONValue(spec.settings.ports?.description),
        "link": addresses == nil || record.run == nil
          ? .null : .string(SliceLink.name(record.number)),
        "publish": .array(node.publishedPorts(record).map(port)),
        "overlays": .array(
          node.overlayAddresses(record.name).map {
            .object(["name": .string($0.overlay), "ipv4": .string($0.address)])
          }),
        "drops": record.run == nil ? .null : drops(node.drops(record)),
      ]),
      "raw": rawSockets(record),
      "ids": .object([
        "first": JSONValue(node.policy.firstUserID + UInt32(record.number) * IDRange.length),
        "count": JSONValue(IDRange.length),
      ]),
      "cgroup": .string(cgroupPath(record)),
      "storage": StorageReport(node: node).report(record),
      "service": .object([
        "state": JSONValue(status.map { "\($0.state)" }),
        "pid": JSONValue(status.flatMap { $0.servicePID == 0 ? nil : $0.servicePID }),
        "logDroppedBytes": JSONValue(status?.logDroppedBytes),
      ]),
      "refusedCalls": refusedCalls(record),
      "lastExit": lastExit(record),
      "outOfMemory": outOfMemory(record.outOfMemory),
      "usage": ShareReports(node: node).usage(record),
    ])
  }

  private func cgroupPath(_ record: SliceRecord) -> String {
    node.cgroup.slices.path + "/" + record.name
  }

  private func port(_ port: PublishedPort, isPublished: Bool) -> JSONValue {
    .object([
      "hostPort": JSONValue(Int(port.host.port)), "port": JSONValue(Int(port.port)),
      "protocol": .string(port.transport.rawValue), "published": .bool(isPublished),
    ])
  }

  private func rawSockets(_ record: SliceRecord) -> JSONValue {
    let items: [String] =
      if case .list(let items) = record.spec.settings[.rawAllow] { items } else { [] }
    let present = record.run == nil ? nil : node.rawSockets(record)
    return .object([
      "allow": .array(items.map(JSONValue.string)),
      "broker": .object([
        "asked": .bool(present != nil),
        "pid": JSONValue(present.flatMap { $0.broker.map(Int.init) }),
      ]),
      "refused": JSONValue(present?.refused),
    ])
  }

  private func lease(_ lease: Lease?) -> JSONValue {
    guard let lease else { return .null }
    let removal = lease.endedAt == nil ? nil : lease.next(node.policy.lease).at
    return .object([
      "endsAt": .string(Clock.text(lease.endsAt)),
      "endedAt": JSONValue(lease.endedAt.map(Clock.text)),
      "removedAt": JSONValue(removal.map(Clock.text)),
      "lengthSeconds": JSONValue(Double(lease.lengthMilliseconds) / 1000),
    ])
  }

  /// Packets and bytes by reason, of what it sent and what was sent to it.
  private func drops(_ statistics: DropStatistics?) -> JSONValue {
    guard let statistics else { return .null }
    func counts(_ list: [DropStatistics.Count]) -> JSONValue {
      let members = list.map {
        (
          $0.reason,
          JSONValue.object(["packets": JSONValue($0.packets), "bytes": JSONValue($0.bytes)])
        )
      }
      return .object(Dictionary(uniqueKeysWithValues: members))
    }
    return .object(["sent": counts(statistics.sent), "received": counts(statistics.received)])
  }

  /// The latest first.
  private func refusedCalls(_ record: SliceRecord) -> JSONValue {
    guard let name = try? SliceName(record.name), let noted = node.refusedCalls(name) else {
      return .null
    }
    return .object([
      "total": JSONValue(noted.total),
      "calls": .array(
        noted.calls.map { call in
          .object([
            "call": .string(call.name), "error": .string(call.error),
            "program": .string(call.program), "pid": JSONValue(Int(call.pid)),
            "times": JSONValue(call.times), "lastAt": .string(Clock.text(call.lastAt)),
            "arguments": .array(
              call.arguments.map { .string("0x" + String($0, radix: 16)) }),
          ])
        }),
    ])
  }

  private func lastExit(_ record: SliceRecord) -> JSONValue {
    guard let end = record.ended else { return .null }
    return .object([
      "at": .string(Clock.text(end.at)), "exitCode": JSONValue(end.exitCode),
      "signal": JSONValue(end.signal), "stopped": .bool(end.stopped),
      "outOfMemory": .bool(end.outOfMemory ?? false), "reason": JSONValue(record.reason),
    ])
  }

  private func outOfMemory(_ latest: OutOfMemory?) -> JSONValue {
    guard let latest else { return .null }
    return .object([
      "at": .string(Clock.text(latest.at)), "limit": .string(latest.limit.rawValue),
      "limitBytes": JSONValue(latest.limitBytes), "peakBytes": JSONValue(latest.peakBytes),
      "kills": JSONValue(latest.kills), "reason": .string(latest.description),
    ])
  }
}
