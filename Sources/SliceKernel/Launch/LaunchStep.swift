import CKernel

/// One operation of a launch, in the order in which the child does them. The raw operations and
/// what they mean are in claunch.h; Docs/launch-order.md argues the order.
public enum LaunchStep: Sendable {
  case joinNamespace(SharedFD, Namespaces)
  case newNamespace(Namespaces)
  case makeMountsPrivate
  /// On a path of the host, before there is a root.
  case mountOnHost(FileSystem, at: String)
  case makeHostDirectory(String, mode: UInt32)
  case attachToHost(SharedFD, at: String)
  case setRoot(String)
  case mount(FileSystem, on: String, ifPresent: Bool = false)
  case attach(SharedFD, on: String)
  case makeDirectory(String, mode: UInt32)
  case makeSymlink(String, to: String)
  case makeDevice(String, major: UInt32, minor: UInt32, mode: UInt32)
  /// Hides a file behind another of the root, which is /dev/null.
  case maskFile(String, with: String)
  /// Hides a directory, if it is there, behind an empty one at a host path.
  case maskDirectory(String, with: String, MountAttributes)
  case remount(String, MountAttributes)
  case pivotRoot
  case setHostname(String)
  case write(String, to: String)
  case limit(ResourceLimit)
  /// Id 0 of the user namespace joined, no supplementary groups.
  case becomeRoot
  case restrictCapabilities(CapabilitySet)
  case forbidNewPrivileges
  case filterSystemCalls(SeccompProgram)
  /// The same with a listener, which the plan's `listening` is given, if it has one. Afterwards the
  /// executable has it under this number; nil: it has not. Once in a plan.
  case filterWithListener(SeccompProgram, keptAs: Int?)
  case newSession
}

/// Kinds of namespace, as clone(2) combines them.
public struct Namespaces: OptionSet, Sendable, Hashable {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public static let mount = Namespaces(rawValue: kernel_new_mount)
  public static let pid = Namespaces(rawValue: kernel_new_pid)
  public static let uts = Namespaces(rawValue: kernel_new_uts)
  public static let ipc = Namespaces(rawValue: kernel_new_ipc)
  public static let network = Namespaces(rawValue: kernel_new_net)
  public static let cgroup = Namespaces(rawValue: kernel_new_cgroup)
  public static let user = Namespaces(rawValue: kernel_new_user)
}

extension Namespaces: CustomStringConvertible {
  public var description: String {
    let names: [(Namespaces, String)] = [
      (.mount, "mount"), (.pid, "pid"), (.uts, "uts"), (.ipc, "ipc"), (.network, "network"),
      (.cgroup, "cgroup"), (.user, "user"),
    ]
    return names.filter { contains($0.0) }.map(\.1).joined(separator: "+")
  }
}

/// A file system to be mounted fresh: its type, its options as fsconfig(2) takes them, and what the
/// mount forbids.
public struct FileSystem: Sendable, Hashable {
  public var type: String
  /// A nil value sets a flag.
  public var options: [Option]
  public var attributes: MountAttributes

  public struct Option: Sendable, Hashable {
    public var key: String
    public var value: String?
    public init(_ key: String, _ value: String? = nil) {
      self.key = key
      self.value = value
    }
  }

  public init(_ type: String, _ options: [Option] = [], _ attributes: MountAttributes = []) {
    self.type = type
    self.options = options
    self.attributes = attributes
  }
}

extension FileSystem: CustomStringConvertible {
  public var description: String {
    let all = options.map { option in option.value.map { "\(option.key)=\($0)" } ?? option.key }
    let details = ([attributes.description] + all).filter { !$0.isEmpty }
    return details.isEmpty ? type : "\(type) (\(details.joined(separator: ",")))"
  }
}

/// A limit of getrlimit(2).
public struct ResourceLimit: Sendable, Hashable {
  public var name: String
  /// RLIMIT_* number.
  public var resource: Int32
  public var soft: UInt64
  public var hard: UInt64
  public init(name: String, resource: Int32, soft: UInt64, hard: UInt64) {
    self.name = name
    self.resource = resource
    self.soft = soft
    self.hard = hard
  }
}

extension LaunchStep: CustomStringConvertible {
  /// The step in words: what an error names, and what tests compare.
  public var description: String {
    switch self {
    case .joinNamespace(let descriptor, let kinds): "setns(\(kinds) of \(descriptor))"
    case .newNamespace(let kinds): "unshare(\(kinds))"
    case .makeMountsPrivate: "mount_setattr(/, recursive, private)"
    case .mountOnHost(let fileSystem, let path): "mount(\(fileSystem) on host path \(path))"
    case .makeHostDirectory(let path, _): "mkdir(host path \(path))"
    case .attachToHost(let tree, let path): "move_mount(\(tree) to host path \(path))"
    case .setRoot(let path): "open(new root \(path))"
    case .mount(let fileSystem, let target, let ifPresent):
      "mount(\(fileSystem) on /\(target)\(ifPresent ? ", if present" : ""))"
    case .attach(let tree, let target): "move_mount(\(tree) to /\(target))"
    case .makeDirectory(let target, let mode): "mkdir(/\(target), 0\(String(mode, radix: 8)))"
    case .makeSymlink(let target, let text): "symlink(/\(target) to \(text))"
    case .makeDevice(let target, let major, let minor, let mode):
      "mknod(/\(target), \(major):\(minor), 0\(String(mode, radix: 8)))"
    case .maskFile(let target, _): "mask(/\(target))"
    case .maskDirectory(let target, let path, let attributes):
      "mask(/\(target), \(attributes), with host path \(path))"
    case .remount(let target, let attributes): "remount(/\(target), \(attributes))"
    case .pivotRoot: "pivot_root"
    case .setHostname(let name): "sethostname(\(name))"
    case .write(let text, let path): "write(\(path), \(text))"
    case .limit(let limit): "prlimit(\(limit.name), \(limit.soft), \(limit.hard))"
    case .becomeRoot: "setgroups(none), setresgid(0), setresuid(0)"
    case .restrictCapabilities(let set): "capset(0x\(String(set.mask, radix: 16)))"
    case .forbidNewPrivileges: "prctl(PR_SET_NO_NEW_PRIVS)"
    case .filterSystemCalls(let program): "seccomp(\(program.name))"
    case .filterWithListener(let program, _): "seccomp(\(program.name), with listener)"
    case .newSession: "setsid"
    }
  }
}
