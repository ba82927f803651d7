import SliceKernel
import SliceModel
import Synchronization

/// Which slice has which port of the host, running or not: it may start at any time.
final class PortTable: Sendable {
  private let holders = Mutex<[TransportPort: SliceName]>([:])

  /// Somebody else has a port, or there are too many.
  enum Obstacle: Error {
    case taken(PublishedPort, by: SliceName)
    case full
  }

  /// Gives a slice ports beside those that it has, all or none. Work for each port, whatever the
  /// number of slices.
  func claim(_ ports: [PublishedPort], for name: SliceName) throws(Obstacle) {
    try holders.withLock { (holders) throws(Obstacle) in
      for port in ports {
        if let holder = holders[port.host], holder != name { throw .taken(port, by: holder) }
      }
      let fresh = ports.count { holders[$0.host] == nil }
      guard holders.count + fresh <= Translation.mostPorts else { throw .full }
      for port in ports { holders[port.host] = name }
    }
  }

  /// A port of these, of either protocol, that some slice publishes; nil: there is none.
  func firstTaken(of ranges: PortRanges) -> (port: TransportPort, by: SliceName)? {
    holders.withLock { $0.first { ranges.contains($0.key.port) } }.map { ($0.key, $0.value) }
  }

  /// Takes them back; those of others stay.
  func release(_ ports: some Sequence<PublishedPort>, of name: SliceName) {
    holders.withLock { holders in
      for port in ports where holders[port.host] == name { holders[port.host] = nil }
    }
  }
}
