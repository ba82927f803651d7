/// All cases, concern by concern. To add one: a line in the file of its concern in Cases/.
public enum Catalogue {
  public static let all: [ConformanceCase] =
    FilterCases.all + NamespaceCases.all + CapabilityCases.all + KernelFileCases.all
    + MountCases.all + DeviceCases.all + ProcessCases.all + LaunchCases.all + CommunicationCases.all
    + SystemCases.all + NetworkCases.all + PacketCases.all + RawSocketCases.all
    + SharedAddressCases.all + OverlayCases.all + TrafficCases.all + IdentityCases.all
    + ResourceCases.all
    + ShareCases.all + ImageCases.all + RaceCases.all + SupervisorCases.all

  /// - Parameter pattern: an id, the beginning of one up to a dot, or one with `*` in it for anything.
  public static func matching(_ pattern: String) -> [ConformanceCase] {
    all.filter { matches($0.id[...], pattern[...]) || $0.id.hasPrefix(pattern + ".") }
  }

  private static func matches(_ text: Substring, _ pattern: Substring) -> Bool {
    guard let first = pattern.first else { return text.isEmpty }
    if first == "*" {
      let rest = pattern.dropFirst()
      return text.indices.contains { matches(text[$0...], rest) } || matches("", rest)
    }
    return text.first == first && matches(text.dropFirst(), pattern.dropFirst())
  }
}
