import Glibc
import SliceConformance
import SliceModel
import SystemTestSupport
import Testing

/// One defence that is taken away from a node.
struct Mutation: Sendable, CustomStringConvertible {
  let name: String
  /// Without these, because one can't be had without another.
  let defences: [Defence]
  let change: Change
  var description: String { name }

  enum Change: Sendable {
    /// Something that a debug build of sliced leaves out, by this name (SliceModel/Mutation.swift).
    case supervisor
    /// The same of slicectl.
    case client
    /// A slice-init that was compiled with this header of Tests/ConformanceTests before it.
    case sliceInit(String)
    /// A program of the kernel's, by its source below CShims, that was compiled with these lines before it.
    case kernelProgram(String, String)
    /// A slice-broker of which one source was compiled with these lines before it.
    case broker(String, String)
  }

  init(_ name: String, _ defences: Defence..., change: Change = .supervisor) {
    self.name = name
    self.defences = defences
    self.change = change
  }
}

/// What the suite says of a node, whole or with a mutation.
struct Verdicts {
  private let cases: [String: JSONValue]

  var failed: Set<String> { named("fail") }
  var passed: Set<String> { named("pass") }
  var isGood: Bool { cases.values.allSatisfy { ["pass", "skip"].contains($0["verdict"].string) } }

  private func named(_ verdict: String) -> Set<String> {
    Set(cases.filter { $0.value["verdict"].string == verdict }.keys)
  }

  /// What a failed case tells a person to do.
  func remedy(of id: String) -> [String] {
    cases[id]?["remedy"].array?.compactMap(\.string) ?? []
  }

  /// A slow way to a world that takes everything and answers nothing, as Tests/Conformance/run makes it.
  private static let uplink = """
    ip link add up0 type veth peer name up1
    ip address add 203.0.113.2/24 dev up0
    ip link set up0 up
    ip link set up1 up
    ip neighbour add 203.0.113.1 lladdr 02:00:00:00:00:01 nud permanent dev up0
    ip route add default via 203.0.113.1
    """

  /// Runs the cases that `patterns` select. One that can't be judged is an issue.
  init(_ mutation: Mutation?, _ patterns: [String]) throws {
    let programs = try MutatedPrograms(mutation)
    defer { programs.remove() }
    let variable = programs.variable.map { [$0] } ?? []
    var options = TestNode.Options()
    // Takes the place of the sliced that the node would run.
    options.wrapper =
      ["env"] + variable + [
        "sh", "-c",
        "program=$1 directory=$2; shift 3; exec \"$program\" \"$@\" --programs \"$directory\"",
        "sh",
        MutatedPrograms.supervisor, programs.directory,
      ]
    let node = try TestNode(options)
    defer { node.remove() }
    let made = try node.host.run(["sh", "-ec", Self.uplink])
    guard made.status == 0 else { throw HarnessError("uplink: \(made)") }
    var command = node.slicectlCommand(
      ["conformance", "--format", "json"] + patterns.flatMap { ["--only", $0] })
    if case .client? = mutation?.change {
      command = command.map {
        $0 == Host.programs + "/slicectl" ? MutatedPrograms.client(programs.directory) : $0
      }
    }
    let result = try Command.run(command, environment: variable, timeout: 300)
    guard let list = try? JSONValue(parsing: result.outputBytes)["cases"].array, !list.isEmpty
    else {
      throw HarnessError("\(mutation?.name ?? "plain"): \(result)\n\(node.log)")
    }
    cases = Dictionary(uniqueKeysWithValues: list.map { ($0["id"].string ?? "", $0) })
    let errors = list.filter { $0["verdict"].string == "error" }
    #expect(errors.isEmpty, "\(mutation?.name ?? "plain"): \(errors)")
  }
}

extension Mutation {
  /// The cases that name what is missing.
  var naming: Set<String> {
    Set(
      Catalogue.all.filter { !Set($0.defences + $0.depth).isDisjoint(with: defences) }.map(\.id))
  }

  /// What must hold of any: something failed, nothing that doesn't name the defence did, and what failed tells
  /// what to do about it.
  func judge(_ verdicts: Verdicts) {
    #expect(!verdicts.failed.isEmpty, "nothing failed without \(self)")
    let others = verdicts.failed.subtracting(naming).sorted()
    #expect(others.isEmpty, "\(self): \(others) failed and don't name it")
    for id in verdicts.failed.intersection(naming) {
      let remedy = verdicts.remedy(of: id)
      #expect(defences.contains { remedy.contains($0.remedy) }, "\(self), \(id): \(remedy)")
    }
  }
}

/// The programs of a node with one of them changed.
struct MutatedPrograms {
  /// Of sliced and slicectl; the other programs are beside.
  let directory: String
  /// What sliced, or slicectl, is started with.
  let variable: String?

  /// The build for the tests, which has mutations.
  static let supervisor = Host.packageDirectory + "/.build/debug/sliced"

  /// It looks for slice-probe beside itself.
  static func client(_ directory: String) -> String { directory + "/slicectl" }

  init(_ mutation: Mutation?) throws {
    switch mutation?.change {
    case nil: (directory, variable) = (Host.programs, nil)
    case .supervisor?: (directory, variable) = (Host.programs, Self.text(mutation))
    case .client?:
      directory = try Self.copy("cp '\(Host.packageDirectory)/.build/debug/slicectl' slicectl")
      variable = Self.text(mutation)
    case .sliceInit(let header)?:
      directory = try Self.copy(Self.sliceInit(header))
      variable = nil
    case .kernelProgram(let source, let lines)?:
      directory = try Self.copy(Self.kernelProgram(source, lines))
      variable = nil
    case .broker(let source, let lines)?:
      directory = try Self.copy(Self.broker(source, lines))
      variable = nil
    }
  }

  func remove() {
    if directory != Host.programs { _ = try? Command.run(["rm", "-rf", directory]) }
  }

  private static func text(_ mutation: Mutation?) -> String? {
    mutation.map { "SLICES_MUTATION=\($0.name)" }
  }

  /// Where this process finds its programs: Swift, and the clang beside it, may be anywhere.
  private static var searchPath: String { getenv("PATH").map { String(cString: $0) } ?? "" }

  /// - Parameter script: replaces one of them in the working directory; `$checkout` is this package's.
  private static func copy(_ script: String) throws -> String {
    var path = Array("/tmp/slices-mutant.XXXXXX".utf8CString)
    guard mkdtemp(&path) != nil else { throw HarnessError("mkdtemp: errno \(errno)") }
    let directory = String(
      decoding: path.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    let made = try Command.run(
      [
        "sh", "-ec",
        """
        checkout='\(Host.packageDirectory)'; cd '\(directory)'
        PATH=$PATH:'\(searchPath)'
        chmod 755 . && cp '\(Host.programs)'/* .
        \(script)
        """,
      ], timeout: 120)
    guard made.status == 0 else {
      _ = try? Command.run(["rm", "-rf", directory])
      throw HarnessError("a mutant: \(made)")
    }
    return directory
  }

  private static func sliceInit(_ header: String) -> String {
    """
    rm slice-init
    musl=/usr/lib/$(uname -m)-linux-musl
    musl-gcc -std=gnu11 -Os -fPIE -I"$checkout/CShims/protocol" -idirafter /usr/include \
      -idirafter /usr/include/$(uname -m)-linux-gnu -static -nostartfiles \
      -Wl,-pie,--no-dynamic-linker -include "$checkout/Tests/ConformanceTests/\(header)" \
      $musl/rcrt1.o $musl/crti.o "$checkout"/CShims/init/*.c $musl/crtn.o -o slice-init
    chmod \(header == "dumpable.h" ? 755 : 711) slice-init
    """
  }

  /// As the Makefile does it.
  private static func kernelProgram(_ source: String, _ lines: String) -> String {
    """
    cat >mutation.h <<'END'
    \(lines)
    END
    name=$(basename '\(source)' .c)
    "$(dirname "$(realpath "$(command -v swift)")")/clang" --target=bpf -mcpu=v3 -O2 -g -ffreestanding \
      -idirafter /usr/include/$(uname -m)-linux-gnu -I"$checkout/CShims/classifier" -include mutation.h \
      -c "$checkout/CShims/\(source)" -o "$name.o"
    """
  }

  private static func broker(_ source: String, _ lines: String) -> String {
    """
    cat >mutation.h <<'END'
    \(lines)
    END
    rm slice-broker
    musl=/usr/lib/$(uname -m)-linux-musl
    # The checkout's path may have spaces.
    ln -s "$checkout/CShims" sources
    compile="musl-gcc -std=gnu11 -Os -fPIE -Isources/protocol -Isources/broker \
      -idirafter /usr/include -idirafter /usr/include/$(uname -m)-linux-gnu"
    others=$(ls sources/broker/*.c | grep -v '/\(source)$')
    $compile -include mutation.h -c "sources/broker/\(source)" -o mutated.o
    $compile -static -nostartfiles -Wl,-pie,--no-dynamic-linker \
      $musl/rcrt1.o $musl/crti.o mutated.o $others $musl/crtn.o -o slice-broker
    chmod 711 slice-broker
    """
  }
}
