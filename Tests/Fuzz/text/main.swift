// Fuzzes what reads texts in Swift: `text TARGET [libFuzzer's options] [corpus …]`. A trap is a crash,
// and so is a value that does not come back from the text that it was written as.
import CFuzz
import Glibc

private let targets: [String: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32] = [
  "spec": { fuzzSpec(bytes($0, $1)) },
  "policy": { fuzzPolicy(bytes($0, $1)) },
  "message": { fuzzMessage(bytes($0, $1)) },
  "json": { fuzzJSON(bytes($0, $1)) },
]

private func bytes(_ data: UnsafePointer<UInt8>?, _ size: Int) -> [UInt8] {
  Array(UnsafeBufferPointer(start: data, count: size))
}

guard CommandLine.argc >= 2, let run = targets[CommandLine.arguments[1]] else {
  let usage = "usage: text \(targets.keys.sorted().joined(separator: "|")) [option …] [corpus …]\n"
  write(2, usage, usage.utf8.count)
  exit(2)
}
var count = CommandLine.argc - 1
// Its own name in place of the target's.
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv + 1
exit(
  withUnsafeMutablePointer(to: &arguments) { pointer in
    pointer.withMemoryRebound(
      to: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?.self, capacity: 1
    ) { LLVMFuzzerRunDriver(&count, $0, run) }
  })
