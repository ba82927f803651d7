/// What an owner asks for: everything needed to build a slice, and nothing of how.
public struct SliceSpec: Sendable, Hashable, Codable {
  /// Name or digest of an image; `host` and `minimal` are always there.
  public var image: String
  /// The command and its arguments; nil means the image's own, and if it has none the slice idles
  /// until somebody enters it.
  public var command: [String]?
  /// `NAME=VALUE` entries, in order, over the image's own.
  public var environment: [String]
  /// `USER`, `UID`, `USER:GROUP` or `UID:GID`, looked up inside the image; nil means the image's.
  public var user: String?
  /// Absolute, inside the slice; nil means the image's own, else the user's home.
  public var workdir: String?
  public var restart: RestartPolicy
  public var settings: Settings
  public var mounts: [TemporaryMount]
  /// Build it even where this host cannot enforce every setting; `inspect` shows which.
  public var allowUnenforced: Bool

  public init(
    image: String = "host", command: [String]? = nil, environment: [String] = [],
    user: String? = nil, workdir: String? = nil, restart: RestartPolicy = .no,
    settings: Settings = Settings(), mounts: [TemporaryMount] = [], allowUnenforced: Bool = false
  ) {
    self.image = image
    self.command = command
    self.environment = environment
    self.user = user
    self.workdir = workdir
    self.restart = restart
    self.settings = settings
    self.mounts = mounts
    self.allowUnenforced = allowUnenforced
  }

  /// The whole of a command line and environment must fit what execve(2) takes with room to spare.
  public static let maximumArgumentBytes = 512 << 10
  /// One argument or variable: the kernel's MAX_ARG_STRLEN is 32 pages.
  public static let maximumStringBytes = 128 << 10

  /// Every mount costs the launch several steps.
  public static let mostMounts = 64

  /// Refuses what cannot be a slice whatever the host is like.
  public func validate() throws(SliceError) {
    try settings.validate()
    guard ImageReference.isValid(image) else {
      throw SliceError(
        .usage, "'\(image.escapedForTerminal)' is not an image name or digest",
        hint: "'slicectl image list' shows the images")
    }
    if let command { try Self.validate(command: command) }
    try Self.validate(environment: environment)
    if let workdir { try Self.validate(workdir: workdir) }
    if let user { try Self.validate(user: user) }
    guard mounts.count <= Self.mostMounts else {
      throw SliceError(
        .usage, "\(mounts.count) mounts are too many", hint: "at most \(Self.mostMounts)")
    }
    for mount in mounts { try mount.validate() }
  }

  public static func validate(command: [String]) throws(SliceError) {
    guard let program = command.first, !program.isEmpty else {
      throw SliceError(.usage, "the command is empty", hint: "give it after '--'")
    }
    try validate(strings: command, of: "the command")
  }

  public static func validate(environment: [String]) throws(SliceError) {
    for entry in environment {
      // By bytes, as everything below: an accent can join with the separator to one Character.
      guard let separator = entry.utf8.firstIndex(of: UInt8(ascii: "=")),
        separator != entry.startIndex
      else {
        throw SliceError(
          .usage, "environment entry '\(entry.escapedForTerminal)' is not NAME=VALUE")
      }
    }
    try validate(strings: environment, of: "the environment")
  }

  public static func validate(workdir: String) throws(SliceError) {
    guard workdir.hasPrefix("/"), !workdir.utf8.contains(0), workdir.utf8.count < 4096 else {
      throw SliceError(
        .usage, "working directory '\(workdir.escapedForTerminal)' is not an absolute path")
    }
  }

  public static func validate(user: String) throws(SliceError) {
    guard !user.isEmpty, user.utf8.count <= 256,
      user.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") })
    else {
      throw SliceError(
        .usage, "'\(user.escapedForTerminal)' is not a user",
        hint: "write NAME, UID, NAME:GROUP or UID:GID")
    }
  }

  private static func validate(strings: [String], of what: String) throws(SliceError) {
    var total = 0
    for string in strings {
      guard !string.utf8.contains(0) else {
        throw SliceError(.usage, "\(what) contains a NUL byte")
      }
      guard string.utf8.count < maximumStringBytes else {
        throw SliceError(
          .usage, "\(what) has an entry of \(string.utf8.count) bytes",
          hint: "the kernel takes at most \(maximumStringBytes - 1) bytes each (execve(2))")
      }
      total += string.utf8.count + 9
    }
    guard total <= maximumArgumentBytes else {
      throw SliceError(
        .usage, "\(what) needs \(total) bytes", hint: "at most \(maximumArgumentBytes) bytes")
    }
  }
}

/// When a service that ended is started again.
public enum RestartPolicy: String, Sendable, Hashable, CaseIterable, Codable {
  case no
  /// After a non-zero exit status or a death by signal.
  case onFailure = "on-failure"
  case always
}

/// A tmpfs of the slice's own, charged to its memory.
public struct TemporaryMount: Sendable, Hashable, Codable {
  /// Absolute path inside the slice.
  public var target: String
  /// Bytes it can hold, at least a page; nil leaves the bound to `memory.max`.
  public var sizeBytes: UInt64?

  public init(target: String, sizeBytes: UInt64? = nil) {
    self.target = target
    self.sizeBytes = sizeBytes
  }

  /// Where the runtime has mounts of its own, an owner's would undo them.
  private static let reserved = ["dev", "proc", "sys", "run"]

  public func validate() throws(SliceError) {
    let parts = target.utf8.split(separator: UInt8(ascii: "/")).map(Substring.init)
    guard target.utf8.first == UInt8(ascii: "/"), let first = parts.first, !parts.contains(".."),
      !parts.contains("."), !target.utf8.contains(0), target.utf8.count < 1024,
      parts.count <= 32
    else {
      throw SliceError(
        .usage, "mount target '\(target.escapedForTerminal)' is not an absolute path below /")
    }
    guard !Self.reserved.contains(String(first)) else {
      throw SliceError(.usage, "mount target '\(target.escapedForTerminal)' belongs to the runtime")
    }
    // To the kernel a size of 0 means no bound at all (tmpfs.rst).
    guard sizeBytes.map((4096...UInt64(1) << 62).contains) ?? true else {
      throw SliceError(
        .usage, "mount '\(target.escapedForTerminal)' has a size of \(sizeBytes ?? 0) bytes",
        hint: "at least 4K")
    }
  }
}

/// What can name an image: a name, or `sha256:` and 64 hexadecimal digits.
public enum ImageReference {
  public static func isValid(_ text: String) -> Bool { isName(text) || isDigest(text) }

  /// `[a-z0-9][a-z0-9._-]{0,127}`, optionally with `:TAG` of the same alphabet; no name can be
  /// taken for a digest, not even for one cut short.
  public static func isName(_ text: String) -> Bool {
    guard !text.hasPrefix("sha256:") else { return false }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    return (1...2).contains(parts.count)
      && parts.allSatisfy { part in
        guard let first = part.utf8.first, part.utf8.count <= 128, isAlphanumeric(first) else {
          return false
        }
        return part.utf8.allSatisfy { isAlphanumeric($0) || "._-".utf8.contains($0) }
      }
  }

  public static func isDigest(_ text: String) -> Bool {
    guard text.hasPrefix("sha256:") else { return false }
    let digits = text.utf8.dropFirst(7)
    return digits.count == 64
      && digits.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte)
  }
}
