/// SplitMix64: the same numbers in every run, so that a failure can be repeated.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// Every magnitude about equally often.
  mutating func number(below bits: Int) -> UInt64 {
    next() >> UInt64.random(in: UInt64(64 - bits)...63, using: &self)
  }
}

/// Texts that look like a number to somebody, and are none.
let notNumbers = [
  "", " ", "-1", "+1", "1 ", " 1", "1 M", "0x10", "1e3", ".5", "5.", "1.2.3", "1,5", "M", "1MM",
  "nan",
  "inf", "infinity", "٣", "１２", "1٣", "²", "½", "Ⅷ", "一", "1\u{301}", "1\u{0}", "1\n", "1\u{200B}",
  "1\u{212A}", "\u{FEFF}1", "--1", "1-", "NaN", "1_000", "99999999999999999999",
  "9223372036854775808",
]
