/// The candidate that a person who wrote `text` most likely meant; nil when none is close: more
/// than a third of the letters differ.
func nearest(to text: String, among candidates: [String]) -> String? {
  let written = Array(text.lowercased().utf8.prefix(64))
  let ranked = candidates.map { (name: $0, distance: editDistance(written, Array($0.utf8))) }
  guard let best = ranked.min(by: { $0.distance < $1.distance }),
    best.distance <= max(1, max(written.count, best.name.utf8.count) / 3)
  else { return nil }
  return best.name
}

/// How many insertions, deletions, replacements and swaps of neighbours turn one text into the
/// other (the optimal string alignment distance).
func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
  var rows = [Array(0...right.count)]
  for (i, byte) in left.enumerated() {
    var row = [i + 1]
    for (j, other) in right.enumerated() {
      var cost = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (byte == other ? 0 : 1))
      if i > 0, j > 0, byte == right[j - 1], left[i - 1] == other {
        cost = min(cost, rows[i - 1][j - 1] + 1)
      }
      row.append(cost)
    }
    rows.append(row)
  }
  return rows[left.count][right.count]
}
