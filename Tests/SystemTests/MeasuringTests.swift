import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// What `slicectl capture` and `slicectl traffic` may take of the host, and what a slice can do to them.
@Suite(.requiresSlices, .requiresProgram("/usr/bin/python3")) struct MeasuringTests {
  private func capture(_ node: TestNode, _ slice: String) throws -> BackgroundCommand {
    let command = try BackgroundCommand(
      node.slicectlCommand(["capture", slice, "-w", "/dev/null"]))
    guard eventually(within: 15, { command.errors.contains("capturing") || !command.isRunning })
    else { throw HarnessError("no capture: \(command.errors)") }
    return command
  }

  private func end(_ command: BackgroundCommand) {
    command.signal(SIGINT)
    let end = command.wait(seconds: 10)
    #expect(end.status == 0, "\(end)")
  }

  /// Gets itself a packet ring of so many MiB, and holds it.
  private static let ring = """
    import struct, sys, time
    from socket import *
    tap = socket(AF_PACKET, SOCK_RAW, htons(3))
    blocks = int(sys.argv[1]) * 16
    try: tap.setsockopt(263, 5, struct.pack("4I", 1 << 16, blocks, 1 << 11, blocks << 5))
    except OSError as error: print(error.strerror)
    else: print("has it"); time.sleep(1000)
    """

  /// A quarter of memory.max for all of them, whoever has them.
  @Test func ringsOfCapturesAndProgramsHaveOneBound() throws {
    try withNode { node in
      for (name, grants) in [("a", "sniff"), ("b", nil)] as [(String, String?)] {
        try node.createRaw(name, grants)
        try node.succeed("set", name, "memory.max=20M")
      }
      func program(_ megabytes: Int) throws -> BackgroundCommand {
        let command = try node.start(
          "exec", "a", "--", "python3", "-uc", Self.ring, "\(megabytes)")
        guard eventually(within: 20, { !command.output.isEmpty }) else {
          throw HarnessError("no ring: \(command.errors)")
        }
        return command
      }
      // 4 MiB, then what is left of 5, then nothing.
      for name in ["a", "b"] {
        let first = try capture(node, name)
        let second = try capture(node, name)
        let third = try node.slicectl("capture", name, "--duration", "1s")
        #expect(third.fails(1, "packet ring", "5120 KiB", "memory.max"), "\(third)")
        if name == "a" { #expect(try program(1).output == "Cannot allocate memory\n") }
        end(first)
        end(second)
      }
      let program = try program(5)
      #expect(program.output == "has it\n")
      #expect(try node.slicectl("capture", "a", "--duration", "1s").fails(1, "packet ring"))
      program.signal(SIGKILL)
      // It ends with its client, and its ring with it.
      #expect(
        try eventually { try node.slicectl("capture", "a", "--duration", "100ms").status == 0 })
    }
  }

  /// The programs run among the slice's own, whose root can stop them; who asked for them waits no
  /// longer than 5 s after it is enough.
  @Test func whatTheSliceHoldsEndsAllTheSame() throws {
    try withNode { node in
      try node.create("a")
      let capture = try capture(node, "a")
      let listener = try BackgroundCommand(node.slicectlCommand(["traffic", "a", "--listen"]))
      let held = try eventually(within: 15) {
        try node.shell(
          "a",
          """
          for p in /proc/[0-9]*; do
            if grep -qE 'slice-(capture|traffic)' $p/cmdline; then
              kill -STOP ${p#/proc/} && echo held; fi
          done 2>/dev/null; true
          """
        ).split(separator: "\n").count == 2
      }
      try #require(held)
      let began = MonotonicTime.now
      for command in [capture, listener] { command.signal(SIGINT) }
      for command in [capture, listener] {
        let end = command.wait(seconds: 20)
        #expect(end.status != 0 && end.errors.contains("held in the slice"), "\(end)")
      }
      let took = MonotonicTime.now - began
      #expect(took > 4.5, "who is not held ends by itself: \(took) s")
      #expect(try !node.shell("a", "cat /proc/[0-9]*/cmdline").contains("slice-capture"))
    }
  }
}
