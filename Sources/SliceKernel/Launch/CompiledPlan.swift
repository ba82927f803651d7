import CKernel
import CLaunch
import Descriptor
import Glibc
import SliceModel

/// A plan laid out in memory as the C child reads it. Everything it points to is owned here and
/// freed at the end; the child is past exec by then (`launch_run` returns only after that).
final class CompiledPlan {
  private let plan: LaunchPlan
  private var strings: [UnsafeMutablePointer<CChar>] = []
  private var optionBlocks: [UnsafeMutableBufferPointer<launch_option>] = []
  /// What the plan's `listening` threw.
  private(set) var listeningError: SliceError?

  init(_ plan: LaunchPlan) { self.plan = plan }

  deinit {
    for string in strings { free(string) }
    for block in optionBlocks { block.deallocate() }
  }

  func run(timeout: Int32, result: inout launch_result) -> Int32 {
    let operations = plan.steps.map(compile)
    let kept = plan.descriptors.map(\.rawValue)
    let arguments = pointers(plan.arguments)
    let environment = pointers(plan.environment)
    // Keeps `plan`'s descriptors, and this object's memory, alive through the launch.
    return withExtendedLifetime(self) {
      operations.withUnsafeBufferPointer { operations in
        kept.withUnsafeBufferPointer { kept in
          arguments.withUnsafeBufferPointer { arguments in
            environment.withUnsafeBufferPointer { environment in
              var flat = launch_plan()
              flat.operations = operations.baseAddress
              flat.operation_count = UInt32(operations.count)
              flat.namespaces = plan.namespaces.rawValue
              flat.cgroup = plan.cgroup?.rawValue ?? -1
              flat.pid_namespace = plan.pidNamespace?.rawValue ?? -1
              flat.kept = kept.baseAddress
              flat.kept_count = UInt32(kept.count)
              flat.report_inherited = plan.reportIsInherited ? 1 : 0
              flat.executable = plan.executable.rawValue
              flat.arguments = arguments.baseAddress
              flat.environment = environment.baseAddress
              if self.plan.listening != nil {
                flat.listening = { CompiledPlan.listening($0!, listener: $1, pid: $2) }
                flat.listening_context = Unmanaged.passUnretained(self).toOpaque()
              }
              return launch_run(&flat, timeout, &result)
            }
          }
        }
      }
    }
  }

  /// Called by `launch_run`, by the thread that `run` was called on.
  private static func listening(
    _ context: UnsafeMutableRawPointer, listener: Int32, pid: Int32
  ) -> Int32 {
    let compiled = Unmanaged<CompiledPlan>.fromOpaque(context).takeUnretainedValue()
    let listener = SharedFD(OwnedFD(adopting: listener), label: "listener of a filter")
    do throws(SliceError) {
      try compiled.plan.listening?(listener, pid)
      return 0
    } catch {
      compiled.listeningError = error
      return ECANCELED
    }
  }

  private func string(_ text: String) -> UnsafePointer<CChar> {
    let copy = strdup(text)!
    strings.append(copy)
    return UnsafePointer(copy)
  }

  private func pointers(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] {
    texts.map { UnsafeMutablePointer(mutating: string($0)) } + [nil]
  }

  private func options(_ options: [FileSystem.Option]) -> UnsafePointer<launch_option>? {
    guard !options.isEmpty else { return nil }
    let block = UnsafeMutableBufferPointer<launch_option>.allocate(capacity: options.count)
    for (index, option) in options.enumerated() {
      block.initializeElement(
        at: index, to: launch_option(key: string(option.key), value: option.value.map(string)))
    }
    optionBlocks.append(block)
    return UnsafePointer(block.baseAddress)
  }

  private func operation(_ kind: launch_operation_kind) -> launch_operation {
    var operation = launch_operation()
    operation.kind = kind.rawValue
    operation.descriptor = -1
    return operation
  }

  private func mountOperation(
    _ kind: launch_operation_kind, _ fileSystem: FileSystem, at target: String
  ) -> launch_operation {
    var operation = operation(kind)
    operation.target = string(target)
    operation.text = string(fileSystem.type)
    operation.options = options(fileSystem.options)
    operation.option_count = UInt32(fileSystem.options.count)
    operation.value = fileSystem.attributes.rawValue
    return operation
  }

  private func pathOperation(
    _ kind: launch_operation_kind, _ target: String, value: UInt64 = 0, text: String? = nil,
    descriptor: SharedFD? = nil
  ) -> launch_operation {
    var operation = operation(kind)
    operation.target = string(target)
    operation.text = text.map(string)
    operation.value = value
    operation.descriptor = descriptor?.rawValue ?? -1
    return operation
  }

  private func filterOperation(
    _ kind: launch_operation_kind, _ program: SeccompProgram
  ) -> launch_operation {
    var operation = operation(kind)
    operation.filter = launch_filter(
      instructions: program.instructions, count: program.instructionCount)
    return operation
  }

  private func compile(_ step: LaunchStep) -> launch_operation {
    switch step {
    case .joinNamespace(let descriptor, let kinds):
      var operation = operation(LAUNCH_SETNS)
      operation.descriptor = descriptor.rawValue
      operation.value = kinds.rawValue
      return operation
    case .newNamespace(let kinds):
      var operation = operation(LAUNCH_UNSHARE)
      operation.value = kinds.rawValue
      return operation
    case .makeMountsPrivate: return operation(LAUNCH_PRIVATE_MOUNTS)
    case .mountOnHost(let fileSystem, let path):
      return mountOperation(LAUNCH_MOUNT_HOST, fileSystem, at: path)
    case .makeHostDirectory(let path, let mode):
      return pathOperation(LAUNCH_MAKE_HOST_DIRECTORY, path, value: UInt64(mode))
    case .attachToHost(let tree, let path):
      return pathOperation(LAUNCH_ATTACH_HOST, path, descriptor: tree)
    case .setRoot(let path): return pathOperation(LAUNCH_SET_ROOT, path)
    case .mount(let fileSystem, let target, let ifPresent):
      var operation = mountOperation(LAUNCH_MOUNT, fileSystem, at: target)
      if ifPresent { operation.flags = UInt32(LAUNCH_IF_PRESENT.rawValue) }
      return operation
    case .attach(let tree, let target):
      return pathOperation(LAUNCH_ATTACH, target, descriptor: tree)
    case .makeDirectory(let target, let mode):
      return pathOperation(LAUNCH_MAKE_DIRECTORY, target, value: UInt64(mode))
    case .makeSymlink(let target, let text):
      return pathOperation(LAUNCH_MAKE_SYMLINK, target, text: text)
    case .makeDevice(let target, let major, let minor, let mode):
      var operation = pathOperation(LAUNCH_MAKE_DEVICE, target, value: UInt64(mode))
      operation.device = kernel_device_number(major, minor)
      return operation
    case .maskFile(let target, let null):
      var operation = pathOperation(LAUNCH_MASK_FILE, target, text: null)
      operation.flags = UInt32(LAUNCH_IF_PRESENT.rawValue)
      return operation
    case .maskDirectory(let target, let path, let attributes):
      var operation = pathOperation(
        LAUNCH_MASK_DIRECTORY, target, value: attributes.rawValue, text: path)
      operation.flags = UInt32(LAUNCH_IF_PRESENT.rawValue)
      return operation
    case .remount(let target, let attributes):
      var operation = pathOperation(LAUNCH_REMOUNT, target, value: attributes.rawValue)
      operation.flags = UInt32(LAUNCH_IF_PRESENT.rawValue)
      return operation
    case .pivotRoot: return operation(LAUNCH_PIVOT)
    case .setHostname(let name):
      var operation = operation(LAUNCH_HOSTNAME)
      operation.text = string(name)
      return operation
    case .write(let text, let path): return pathOperation(LAUNCH_WRITE, path, text: text)
    case .limit(let limit):
      var operation = operation(LAUNCH_RLIMIT)
      operation.device = UInt64(limit.resource)
      operation.value = limit.soft
      operation.other = limit.hard
      return operation
    case .becomeRoot: return operation(LAUNCH_IDENTITY)
    case .restrictCapabilities(let set):
      var operation = operation(LAUNCH_CAPABILITIES)
      operation.value = set.mask
      return operation
    case .forbidNewPrivileges: return operation(LAUNCH_NO_NEW_PRIVILEGES)
    case .filterSystemCalls(let program): return filterOperation(LAUNCH_SECCOMP, program)
    case .filterWithListener(let program, let number):
      var operation = filterOperation(LAUNCH_SECCOMP_ASKING, program)
      operation.value = UInt64(number ?? 0)
      return operation
    case .newSession: return operation(LAUNCH_NEW_SESSION)
    }
  }
}
