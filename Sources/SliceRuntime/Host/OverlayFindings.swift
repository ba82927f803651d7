import Glibc
import SliceKernel
import SliceModel

extension HostReport {
  /// Whether nodes can carry slices' own networks between them, and encrypted: tried in a namespace of its
  /// own. Root only.
  static func carriers() -> HostFinding? {
    guard geteuid() == 0 else { return nil }
    let title = "networks across nodes"
    func lacks(encrypted: Bool) -> SliceError? {
      do throws(SliceError) {
        try OverlayNetwork.requireSupport(encrypted: encrypted)
        return nil
      } catch {
        return error
      }
    }
    let plain = lacks(encrypted: false)
    let encrypted = lacks(encrypted: true)
    switch (plain, encrypted) {
    case (nil, nil):
      return HostFinding(title, .ok, "slices can have networks across nodes, encrypted ones too")
    case (nil, let missing?):
      return HostFinding(
        title, .limited, "slices can have networks across nodes, not encrypted: \(missing.message)",
        remedy: "modprobe wireguard")
    case (let missing?, nil):
      return HostFinding(
        title, .limited, "networks across nodes need --encrypt: \(missing.message)",
        remedy: "modprobe vxlan")
    case (let missing?, .some):
      return HostFinding(
        title, .limited, "slices can't have networks across nodes: \(missing.message)",
        remedy: "modprobe -a vxlan wireguard")
    }
  }
}
