/// One thing that slices need of a host, and how it stands.
struct Finding {
  enum Status: String, CaseIterable {
    case ok
    /// Some limits or grants are refused here.
    case limited
    /// No slice can be built here.
    case missing
  }

  var title: String
  var status: Status
  /// What it means for slices: a sentence.
  var meaning: String
  /// The command that mends it; nil where all is well or nothing helps.
  var remedy: String?
}

/// What this host can and cannot enforce.
///
/// SEAM: to be answered by SliceRuntime's report on the host.
func hostFindings() -> [Finding] {
  []
}
