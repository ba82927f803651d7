import ArgumentParser
import SliceClient
import SliceInterface
import SliceModel

/// What a shell offers for an argument. Asks the supervisor where it must, briefly; where that
/// fails there is simply nothing to offer.
enum Completions {
  static let slices = CompletionKind.custom { words, _, _ in
    let slices = try? supervisor(words).list(timeout: patience)
    return slices?.map(\.name).filter(SliceName.isValid) ?? []
  }

  static let images = CompletionKind.custom { words, _, _ in
    let images = try? supervisor(words).images(timeout: patience)
    return images?.map(\.name).filter(ImageReference.isName) ?? []
  }

  static let overlays = CompletionKind.custom { words, _, _ in
    let overlays = try? supervisor(words).overlays(timeout: patience)
    return overlays?.map(\.name).filter { (try? OverlayName($0)) != nil } ?? []
  }

  static let settings = CompletionKind.list(Key.allCases.map { $0.rawValue + "=" })

  static let signals = CompletionKind.list(SignalNames.all.map(\.name))

  private static let patience = Duration.milliseconds(500)

  /// The one that the line being completed names, else the usual one.
  private static func supervisor(_ words: [String]) -> Supervisor {
    for (word, next) in zip(words, words.dropFirst() + [""]) {
      if word == "--socket", !next.isEmpty { return Supervisor(socketPath: next) }
      if word.hasPrefix("--socket=") { return Supervisor(socketPath: String(word.dropFirst(9))) }
    }
    return Supervisor()
  }
}
