import Testing

@testable import SliceConfiguration

@Suite struct SuggestionTests {
  @Test(arguments: [
    ("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("wieght", "weight", 1),
    ("memory", "memory", 0), ("ab", "ba", 1),
  ])
  func distance(left: String, right: String, expected: Int) {
    #expect(editDistance(Array(left.utf8), Array(right.utf8)) == expected)
    #expect(editDistance(Array(right.utf8), Array(left.utf8)) == expected)
  }

  @Test func onlyWhatIsCloseIsSuggested() {
    #expect(nearest(to: "Weight", among: ["max", "weight"]) == "weight")
    #expect(nearest(to: "zzz", among: ["max", "weight"]) == nil)
    #expect(nearest(to: "", among: ["max"]) == nil)
    #expect(nearest(to: "max", among: []) == nil)
  }
}
