import SliceModel
import Testing

@Suite struct NodeCapacityTests {
  private func host(
    memory: UInt64 = 24 << 30, processors: String = "0-3", processIDs: UInt64 = 32_768
  ) throws -> HostFacts {
    HostFacts(
      memoryBytes: memory, processors: try #require(ProcessorSet(processors)),
      processIDs: processIDs)
  }

  private func policy(_ change: (inout NodePolicy) -> Void) -> NodePolicy {
    var policy = NodePolicy()
    change(&policy)
    return policy
  }

  @Test func withoutAPolicyTheHostKeepsSome() throws {
    let capacity = try NodePolicy().capacity(of: host(memory: 20 << 30))
    #expect(
      capacity == NodeCapacity(millicores: 4000, memoryBytes: 18 << 30, pids: 24_576))
  }

  @Test(arguments: [
    ("1G", "768M"), ("64G", "60G"), ("256M", "128M"), ("512M", "256M"), ("40G", "36G"),
  ])
  func theDefaultReserveHasBounds(memory: String, left: String) throws {
    let memory = try #require(ByteSize(memory))
    let capacity = try NodePolicy().capacity(of: host(memory: memory.bytes))
    #expect(ByteSize(bytes: capacity.memoryBytes) == ByteSize(left))
  }

  @Test func theSmallerOfTotalAndRestCounts() throws {
    let tight = policy {
      $0.total.cpu = CPUAmount("1.5")
      $0.total.memory = ByteSize("2G")
      $0.total.pids = 500
      $0.total.disk = ByteSize("10G")
      $0.reserve.cpu = CPUAmount("50%")
      $0.reserve.memory = ByteSize("1G")
    }
    #expect(
      try tight.capacity(of: host())
        == NodeCapacity(
          millicores: 1500, memoryBytes: 2 << 30, pids: 500, diskBytes: 10 << 30))
    let generous = policy {
      $0.total.cpu = CPUAmount("100")
      $0.total.memory = ByteSize("1T")
      $0.total.pids = 4_000_000
      $0.reserve.cpu = CPUAmount("50%")
      $0.reserve.memory = ByteSize("1G")
    }
    #expect(
      try generous.capacity(of: host())
        == NodeCapacity(millicores: 3500, memoryBytes: 23 << 30, pids: 32_768))
  }

  @Test func memoryIsInWholeMebibytes() throws {
    let capacity = try policy { $0.reserve.memory = ByteSize("0") }
      .capacity(of: host(memory: 3 << 30 + 4096))
    #expect(capacity.memoryBytes == 3 << 30)
  }

  @Test func offlineProcessorsDoNotCount() throws {
    #expect(try NodePolicy().capacity(of: host(processors: "0,2-3")).millicores == 3000)
  }

  @Test func aReserveThatLeavesNothingIsAnError() throws {
    for (reserve, what) in [
      ("24G", "reserve.memory=24G"), ("25T", "25T"), ("24575.5M", "host's 24G"),
    ] {
      let error = #expect(throws: SliceError.self) {
        try policy { $0.reserve.memory = ByteSize(reserve) }.capacity(of: host())
      }
      #expect(error?.code == .usage)
      #expect(error?.message.contains(what) == true, "\(String(describing: error))")
    }
    let error = #expect(throws: SliceError.self) {
      try policy { $0.reserve.cpu = CPUAmount("4") }.capacity(of: host())
    }
    #expect(error?.message == "reserve.cpu=400% leaves slices nothing of this host's 400%")
    #expect(error?.hint?.contains("node.toml") == true)
  }
}
