import Glibc

/// A moment, read and written as RFC 3339 text.
public struct Timestamp: Sendable, Hashable {
  /// Seconds since 1970-01-01 00:00 UTC, leap seconds not counted.
  public var unixSeconds: Double

  public init(unixSeconds: Double) { self.unixSeconds = unixSeconds }

  public static var now: Timestamp {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(unixSeconds: Double(time.tv_sec) + Double(time.tv_nsec) / 1e9)
  }

  /// `2002-10-28T09:30:00Z`, with an optional fraction and `+01:00` for `Z`; also with a blank or a
  /// small letter between date and time, as RFC 3339, section 5.6 allows.
  public init?(_ text: String) {
    let bytes = Array(text.utf8)
    guard bytes.count >= 20,
      bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
      "Tt ".utf8.contains(bytes[10]),
      bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":"),
      let year = Self.number(bytes[0..<4]), let month = Self.number(bytes[5..<7]),
      let day = Self.number(bytes[8..<10]), let hour = Self.number(bytes[11..<13]),
      let minute = Self.number(bytes[14..<16]), let second = Self.number(bytes[17..<19]),
      (1...12).contains(month), (1...Self.daysInMonth(month, of: year)).contains(day),
      hour < 24, minute < 60, second <= 60
    else { return nil }
    var rest = bytes[19...]
    guard let fraction = Self.takeFraction(&rest), let offset = Self.offset(rest) else {
      return nil
    }
    let days = Self.daysSinceEpoch(year: year, month: month, day: day)
    unixSeconds =
      Double(days * 86_400 + hour * 3600 + minute * 60 + second - offset) + fraction
  }

  private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
    guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
  }

  private static func takeFraction(_ rest: inout ArraySlice<UInt8>) -> Double? {
    guard rest.first == UInt8(ascii: ".") else { return 0 }
    let digits = rest.dropFirst().prefix { (0x30...0x39).contains($0) }
    rest = rest.dropFirst(1 + digits.count)
    return digits.isEmpty ? nil : Double("0." + String(decoding: digits, as: UTF8.self))
  }

  /// Seconds east of Greenwich.
  private static func offset(_ text: ArraySlice<UInt8>) -> Int? {
    let bytes = Array(text)
    if bytes == [UInt8(ascii: "Z")] || bytes == [UInt8(ascii: "z")] { return 0 }
    guard bytes.count == 6, bytes[3] == UInt8(ascii: ":"), let hours = number(bytes[1..<3]),
      let minutes = number(bytes[4..<6]), hours < 24, minutes < 60
    else { return nil }
    switch bytes[0] {
    case UInt8(ascii: "+"): return hours * 3600 + minutes * 60
    case UInt8(ascii: "-"): return -(hours * 3600 + minutes * 60)
    default: return nil
    }
  }

  private static func daysInMonth(_ month: Int, of year: Int) -> Int {
    let isLeap = year.isMultiple(of: 4) && (!year.isMultiple(of: 100) || year.isMultiple(of: 400))
    return [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
  }

  /// Of the proleptic Gregorian calendar. Years are counted from March, so that the leap day
  /// comes last and the days before a month are a linear function of it.
  private static func daysSinceEpoch(year: Int, month: Int, day: Int) -> Int {
    let marchYear = month > 2 ? year : year - 1
    let marchMonth = (month + 9) % 12
    let leapDays = marchYear / 4 - marchYear / 100 + marchYear / 400
    return marchYear * 365 + leapDays + (marchMonth * 153 + 2) / 5 + day - 1 - 719_468
  }
}

extension Timestamp {
  /// When it is, as seen at `now`: `in 3d`; `over` for what is past. A second that has begun counts
  /// whole: what is set to three days is said to be in 3d.
  public func distance(from now: Timestamp) -> String {
    guard unixSeconds > now.unixSeconds else { return "over" }
    return "in " + now.age(at: Timestamp(unixSeconds: unixSeconds + 1))
  }

  /// How long before `now` it was, in one unit: `12s`, `5m`, `3h`, `20d`. `now` for what is less
  /// than a second ago or, by clocks that disagree, still to come.
  public func age(at now: Timestamp) -> String {
    let seconds = Int(max(0, min(now.unixSeconds - unixSeconds, 1e12)))
    switch seconds {
    case 0: return "now"
    case 1..<60: return "\(seconds)s"
    case 60..<3600: return "\(seconds / 60)m"
    case 3600..<(48 * 3600): return "\(seconds / 3600)h"
    default: return "\(seconds / 86_400)d"
    }
  }
}
