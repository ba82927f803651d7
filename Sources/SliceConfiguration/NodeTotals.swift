import SliceModel

// The tables `total` and `reserve` of node.toml.
extension NodePolicyFile {
  static func readTotal(_ reader: TableReader) throws(SliceError) -> NodePolicy.Total {
    var table = reader
    var total = NodePolicy.Total()
    total.cpu = try table.take("cpu")?.processorTime()
    total.memory = try table.take("memory")?.size(atLeast: 1 << 20)
    // Fewer would not do for one slice and what starts it.
    total.pids = try table.take("pids").map { (value) throws(SliceError) in
      UInt64(try value.integer(in: 16...4_194_304))
    }
    total.disk = try table.take("disk")?.size(atLeast: 1 << 20)
    total.net = try table.take("net")?.rate()
    try table.finish()
    return total
  }

  static func readReserve(_ reader: TableReader) throws(SliceError) -> NodePolicy.Reserve {
    var table = reader
    var reserve = NodePolicy.Reserve()
    reserve.cpu = try table.take("cpu")?.processorTime()
    reserve.memory = try table.take("memory")?.size(atLeast: 0)
    try table.finish()
    return reserve
  }
}

extension TOMLValue {
  /// As `cpu.max` of slice.toml is written.
  fileprivate func processorTime() throws(SliceError) -> CPUAmount {
    let form = Key.cpuMax.form
    guard let text = settingText(for: form),
      case .cpu(let amount) = Settings.Value(text, form: form)
    else { throw mismatch(form.expectation) }
    return amount
  }

  /// As `net.max` of slice.toml is written.
  fileprivate func rate() throws(SliceError) -> BitRate {
    let form = Key.netMax.form
    guard let text = settingText(for: form),
      case .rate(let rate) = Settings.Value(text, form: form)
    else { throw mismatch(form.expectation) }
    return rate
  }

  fileprivate func size(atLeast least: UInt64) throws(SliceError) -> ByteSize {
    let form = Key.Form.bytes(least...UInt64(1) << 62)
    guard let text = settingText(for: form),
      case .bytes(let size) = Settings.Value(text, form: form)
    else { throw mismatch(form.expectation) }
    return size
  }
}
