// The parameters and replies of org.sliceruntime.Slices, as the interface definition beside this
// file describes them. One `enum` per method: `Parameters` and `Reply`.
import SliceModel

/// One row of `list`.
public struct SliceSummary: Sendable, Hashable, Codable {
  public var name: String
  public var owner: String
  public var state: SliceState
  public var image: String
  /// slice-init's on the host.
  public var pid: Int?
  public var ipv4: String?
  public var ipv6: String?
  /// RFC 3339, UTC, as all times here.
  public var createdAt: String
  public var startedAt: String?
  public var restarts: Int
  public var lease: String?
  /// `HOSTPORT:PORT/tcp`, or ranges of ports.
  public var publish: [String]
  /// Keys that this host does not enforce.
  public var unenforced: [String]
  /// Why it does not run as it should, such as want of memory; nil where all is well.
  public var reason: String?

  public init(
    name: String, owner: String, state: SliceState, image: String, pid: Int?, ipv4: String?,
    ipv6: String?, createdAt: String, startedAt: String?, restarts: Int, lease: String?,
    publish: [String],
    unenforced: [String], reason: String? = nil
  ) {
    self.name = name
    self.owner = owner
    self.state = state
    self.image = image
    self.pid = pid
    self.ipv4 = ipv4
    self.ipv6 = ipv6
    self.createdAt = createdAt
    self.startedAt = startedAt
    self.restarts = restarts
    self.lease = lease
    self.publish = publish
    self.unenforced = unenforced
    self.reason = reason
  }
}

public struct LogEntry: Sendable, Hashable, Codable {
  public enum Stream: String, Sendable, Codable { case stdout, stderr }
  public var time: String
  public var stream: Stream
  public var text: String
  /// The line goes on in the next entry of the same stream.
  public var partial: Bool
  public init(time: String, stream: Stream, text: String, partial: Bool) {
    self.time = time
    self.stream = stream
    self.text = text
    self.partial = partial
  }
}

public struct Event: Sendable, Hashable, Codable {
  public var time: String
  public var slice: String?
  public var kind: String
  /// Name of the user who caused it; nil: the slice or the node itself.
  public var by: String?
  public var details: [String: String]
  public init(time: String, slice: String?, kind: String, by: String?, details: [String: String]) {
    self.time = time
    self.slice = slice
    self.kind = kind
    self.by = by
    self.details = details
  }
}

public struct TerminalSize: Sendable, Hashable, Codable {
  public var rows: UInt16
  public var columns: UInt16
  public init(rows: UInt16, columns: UInt16) {
    self.rows = rows
    self.columns = columns
  }
}

public struct ImageSummary: Sendable, Hashable, Codable {
  public enum Kind: String, Sendable, Codable { case host, minimal, stored }
  public var name: String
  public var digest: String?
  public var kind: Kind
  public var sizeBytes: UInt64?
  public var entries: Int?
  public var importedAt: String?
  public var owner: String?
  public var command: [String]?
  public var usedBy: [String]
  public init(
    name: String, digest: String?, kind: Kind, sizeBytes: UInt64?, entries: Int?,
    importedAt: String?, owner: String?, command: [String]?, usedBy: [String]
  ) {
    self.name = name
    self.digest = digest
    self.kind = kind
    self.sizeBytes = sizeBytes
    self.entries = entries
    self.importedAt = importedAt
    self.owner = owner
    self.command = command
    self.usedBy = usedBy
  }
}

/// Parameters of the methods that take a slice's name alone.
public struct NameParameters: Sendable, Codable {
  public var name: String
  public init(name: String) { self.name = name }
}

/// The reply of the methods that change a slice.
public struct SliceReply: Sendable, Codable {
  public var slice: SliceSummary
  public init(slice: SliceSummary) { self.slice = slice }
}

/// Nothing to say.
public struct Empty: Sendable, Codable {
  public init() {}
}

public enum CreateCall {
  public struct Parameters: Sendable, Codable {
    public var name: String
    public var spec: SliceSpec
    public var start: Bool
    public init(name: String, spec: SliceSpec, start: Bool) {
      self.name = name
      self.spec = spec
      self.start = start
    }
  }
}

/// `Stop` and `Restart`.
public enum StopCall {
  public struct Parameters: Sendable, Codable {
    public var name: String
    public var timeoutMilliseconds: UInt32?
    public init(name: String, timeoutMilliseconds: UInt32?) {
      self.name = name
      self.timeoutMilliseconds = timeoutMilliseconds
    }
  }
}

public enum KillCall {
  public struct Parameters: Sendable, Codable {
    public var name: String
    public var signal: Int32
    public init(name: String, signal: Int32) {
      self.name = name
      self.signal = signal
    }
  }
}

public enum DestroyCall {
  public struct Parameters: Sendable, Codable {
    public var name: String
    public var force: Bool
    public init(name: String, force: Bool) {
      self.name = name
      self.force = force
    }
  }
}

public enum SetCall {
  public struct Parameters: Sendable, Codable {
    public var name: String
    public var changes: [String: String]
    public init(name: String, changes: [String: String]) {
      self.name = name
      self.changes = changes
    }
  }
  public struct Reply: Sendable, Codable {
    public var slice: SliceSummary
    /// What the change came to beyond what was asked: sentences for a person.
    public var notes: [String]
    public init(slice: SliceSummary, notes: [String]) {
      self.slice = slice
      self.notes = notes
    }
  }
}

public enum RenewCall {
  public struct Parameters: Sendable, Codable {
    public var name: String
    public var milliseconds: UInt64?
    public init(name: String, milliseconds: UInt64?) {
      self.name = name
      self.milliseconds = milliseconds
    }
  }
}

public enum StopAllCall {
  public struct Reply: Sendable, Codable {
    public var stopped: Int
    public init(stopped: Int) { self.stopped = stopped }
  }
}

public enum ListCall {
  public struct Reply: Sendable, Codable {
    public var slices: [SliceSummary]
    public init(slices: [SliceSummary]) { self.slices = slices }
  }
}

public enum InspectCall {
  public struct Reply: Sendable, Codable {
    public var slice: JSONValue
    public init(slice: JSONValue) { self.slice = slice }
  }
}

public enum LogsCall {
  public struct Parameters: Sendable, Codable {
    public var name: String
    public var lines: Int?
    public var sinceUnixSeconds: Double?
    public var follow: Bool
    public init(name: String, lines: Int?, sinceUnixSeconds: Double?, follow: Bool) {
      self.name = name
      self.lines = lines
      self.sinceUnixSeconds = sinceUnixSeconds
      self.follow = follow
    }
  }
  public struct Reply: Sendable, Codable {
    public var entries: [LogEntry]
    public init(entries: [LogEntry]) { self.entries = entries }
  }
}

public enum EventsCall {
  public struct Parameters: Sendable, Codable {
    public var follow: Bool
    public init(follow: Bool) { self.follow = follow }
  }
  public struct Reply: Sendable, Codable {
    public var events: [Event]
    public init(events: [Event]) { self.events = events }
  }
}

public enum WaitCall {
  public struct Reply: Sendable, Codable {
    public var exitCode: Int32?
    public var signal: Int32?
    /// Why it was ended, where that is more than the status says: want of memory.
    public var reason: String?
    public init(exitCode: Int32?, signal: Int32?, reason: String? = nil) {
      self.exitCode = exitCode
      self.signal = signal
      self.reason = reason
    }
  }
}

/// The reply, which may be large, is written and read as JSON text: `slices`, an array of objects, and
/// `node`.
public enum SharesCall {
  public struct Parameters: Sendable, Codable {
    public var name: String?
    /// With what slices have made below their own cgroups.
    public var tree: Bool?
    public init(name: String?, tree: Bool?) {
      self.name = name
      self.tree = tree
    }
  }
}

public enum OffersCall {
  public struct Reply: Sendable, Codable {
    public var offers: JSONValue
    public init(offers: JSONValue) { self.offers = offers }
  }
}

/// What one slice sent to one place outside in some seconds; see `FlowRecord`.
public struct Flow: Sendable, Hashable, Codable {
  public var first: String
  public var last: String
  public var slice: String
  public var number: Int
  public var owner: String
  public var ownerId: UInt32
  public var to: String?
  public var port: UInt16?
  public var sourcePort: UInt16?
  /// IANA's number.
  public var `protocol`: UInt8?
  public var packets: UInt64
  public var bytes: UInt64

  public init(
    first: String, last: String, slice: String, number: Int, owner: String, ownerId: UInt32,
    to: String?, port: UInt16?, sourcePort: UInt16?, protocol: UInt8?, packets: UInt64,
    bytes: UInt64
  ) {
    self.first = first
    self.last = last
    self.slice = slice
    self.number = number
    self.owner = owner
    self.ownerId = ownerId
    self.to = to
    self.port = port
    self.sourcePort = sourcePort
    self.protocol = `protocol`
    self.packets = packets
    self.bytes = bytes
  }
}

public enum FlowsCall {
  public struct Parameters: Sendable, Codable {
    public var sinceUnixSeconds: Double?
    public var untilUnixSeconds: Double?
    public var to: String?
    public var port: UInt16?
    public var slice: String?
    public var `protocol`: UInt8?
    public init(
      sinceUnixSeconds: Double?, untilUnixSeconds: Double?, to: String?, port: UInt16?,
      slice: String?, protocol: UInt8?
    ) {
      self.sinceUnixSeconds = sinceUnixSeconds
      self.untilUnixSeconds = untilUnixSeconds
      self.to = to
      self.port = port
      self.slice = slice
      self.protocol = `protocol`
    }
  }
  public struct Reply: Sendable, Codable {
    public var flows: [Flow]
    /// Packets by slice that may be among those asked for: they were counted less exactly.
    public var uncertain: [String: UInt64]?
    /// That could not be written, since the supervisor was started.
    public var lostRecords: UInt64?
    public init(
      flows: [Flow], uncertain: [String: UInt64]? = nil, lostRecords: UInt64? = nil
    ) {
      self.flows = flows
      self.uncertain = uncertain
      self.lostRecords = lostRecords
    }
  }
}

public enum ExecuteCall {
  public struct Parameters: Sendable, Codable {
    public var name: String
    /// Nil: the user's login shell, else /bin/sh.
    public var command: [String]?
    public var environment: [String]
    public var user: String?
    public var workdir: String?
    public var terminal: TerminalSize?
    public init(
      name: String, command: [String]?, environment: [String], user: String?, workdir: String?,
      terminal: TerminalSize?
    ) {
      self.name = name
      self.command = command
      self.environment = environment
      self.user = user
      self.workdir = workdir
      self.terminal = terminal
    }
  }
  public struct Reply: Sendable, Codable {
    public var id: String?
    public var pid: Int?
    public var exitCode: Int32?
    public var signal: Int32?
    /// As in `WaitCall.Reply`.
    public var reason: String?
    public init(
      id: String? = nil, pid: Int? = nil, exitCode: Int32? = nil, signal: Int32? = nil,
      reason: String? = nil
    ) {
      self.id = id
      self.pid = pid
      self.exitCode = exitCode
      self.signal = signal
      self.reason = reason
    }
  }
}

public enum SignalExecutionCall {
  public struct Parameters: Sendable, Codable {
    public var id: String
    public var signal: Int32
    public init(id: String, signal: Int32) {
      self.id = id
      self.signal = signal
    }
  }
}

public enum ImageListCall {
  public struct Reply: Sendable, Codable {
    public var images: [ImageSummary]
    public init(images: [ImageSummary]) { self.images = images }
  }
}

public enum ImageInspectCall {
  public struct Reply: Sendable, Codable {
    public var image: ImageSummary
    public init(image: ImageSummary) { self.image = image }
  }
}

public enum ImageImportCall {
  public enum Kind: String, Sendable, Codable { case tar, oci }
  public struct Parameters: Sendable, Codable {
    public var name: String
    public var kind: Kind
    public var tag: String?
    public init(name: String, kind: Kind, tag: String?) {
      self.name = name
      self.kind = kind
      self.tag = tag
    }
  }
  public struct Reply: Sendable, Codable {
    public var readBytes: UInt64?
    public var entries: Int?
    public var image: ImageSummary?
    public init(readBytes: UInt64? = nil, entries: Int? = nil, image: ImageSummary? = nil) {
      self.readBytes = readBytes
      self.entries = entries
      self.image = image
    }
  }
}
