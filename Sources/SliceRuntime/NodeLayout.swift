import SliceModel

/// Where a node keeps what. All of it belongs to root and is closed to everybody else.
public struct NodeLayout: Sendable, Hashable {
  /// Survives a reboot: records, images, writable layers, logs.
  public var state: String
  /// Does not: sockets, status files, the mount point of the staging area.
  public var runtime: String
  /// slice-init, slice-broker, slice-unpack, busybox and the object files of BPF programs.
  public var programs: String

  public init(
    state: String = "/var/lib/slices", runtime: String = "/run/slices",
    programs: String = "/usr/lib/slices"
  ) {
    self.state = state
    self.runtime = runtime
    self.programs = programs
  }

  public var images: String { state + "/images" }
  public var slices: String { state + "/slices" }
  /// The writable layers of all slices: a directory, or where the image below is mounted.
  public var storage: String { state + "/storage" }
  /// A file system in a file, for a state directory whose own has no project quotas.
  public var storageImage: String { state + "/storage.img" }
  /// An empty directory; in a slice's own mount namespace the staging area is mounted there.
  public var stage: String { runtime + "/stage" }
  public var running: String { runtime + "/running" }

  /// The flow audit's files.
  public var flows: String { state + "/flows" }
  /// Whose packets it counts.
  public var flowSenders: String { runtime + "/flow-senders" }

  public var classifier: String { programs + "/classifier.bpf.o" }
  /// What judges the packets of raw sockets.
  public var rawJudge: String { programs + "/raw.bpf.o" }
  /// What hands packets to AF_XDP sockets.
  public var xdpReceiver: String { programs + "/xdp.bpf.o" }
  public var broker: String { programs + "/slice-broker" }

  /// Records of overlays.
  public var overlays: String { state + "/overlays" }
  /// Their namespaces, each mounted on a file of the overlay's name.
  public var overlayNamespaces: String { runtime + "/overlays" }
  public var overlayPrograms: String { programs + "/overlay.bpf.o" }

  public func slice(_ name: SliceName) -> SliceLayout {
    SliceLayout(
      state: slices + "/" + name.text, storage: storage + "/" + name.text,
      runtime: running + "/" + name.text)
  }
}

/// Where one slice has what.
public struct SliceLayout: Sendable, Hashable {
  public var state: String
  public var storage: String
  public var runtime: String

  public var record: String { state + "/slice.json" }
  /// The writable layer, owned by the slice's ids.
  public var upper: String { storage + "/upper" }
  /// overlayfs's own; must be on the file system of `upper`.
  public var work: String { storage + "/work" }
  public var log: String { state + "/log" }
  /// slice-init's listening socket.
  public var control: String { runtime + "/control" }
  /// slice-broker's listening socket, where the slice has one (slice_raw.h).
  public var broker: String { runtime + "/broker" }
  /// A directory that the slice has as /run/slice, read-only, and in it the socket of slice-broker that its
  /// processes connect to (slice_request.h).
  public var requests: String { runtime + "/requests" }
  public var requestSocket: String { requests + "/raw" }
  /// slice-init's status record (slice_status.h).
  public var status: String { runtime + "/status" }
  /// Calls that the slice was refused (slice_refusals.h), where they are noted.
  public var refusals: String { runtime + "/refusals" }
}
