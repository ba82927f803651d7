import CKernel
import FoundationEssentials
import SliceModel

public enum Clock {
  /// Nanoseconds since 1970, UTC.
  public static var now: UInt64 { kernel_now() }

  /// RFC 3339 with milliseconds: `2026-01-31T12:00:00.123Z`.
  public static func text(_ nanoseconds: UInt64) -> String {
    let date = Date(timeIntervalSince1970: Double(nanoseconds / 1_000_000) / 1000)
    return date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
  }
}
