import Descriptor
import Glibc
import SliceInterface
import SliceKernel
import SliceModel
import SliceRuntime
import Varlink

/// org.sliceruntime.Slices, as this node serves it: decides who may, decodes, asks the runtime.
struct SlicesInterface: VarlinkInterface {
  let node: Node
  let authorization: Authorization
  let events: EventLog
  let executions: ExecutionTable
  let unpack: UnpackSandbox

  var name: String { SliceInterface.name }
  var description: String { SliceInterface.definition }

  /// Every method, as the interface definition names it.
  enum Method: String, CaseIterable {
    case create = "Create"
    case start = "Start"
    case stop = "Stop"
    case restart = "Restart"
    case kill = "Kill"
    case pause = "Pause"
    case resume = "Resume"
    case destroy = "Destroy"
    case set = "Set"
    case renew = "Renew"
    case stopAll = "StopAll"
    case list = "List"
    case inspect = "Inspect"
    case logs = "Logs"
    case events = "Events"
    case wait = "Wait"
    case shares = "Shares"
    case offers = "Offers"
    case flows = "Flows"
    case execute = "Execute"
    case signalExecution = "SignalExecution"
    case capture = "Capture"
    case traffic = "Traffic"
    case imageList = "ImageList"
    case imageInspect = "ImageInspect"
    case imageImport = "ImageImport"
    case imageRemove = "ImageRemove"
    case overlayCreate = "OverlayCreate"
    case overlayDelete = "OverlayDelete"
    case overlayList = "OverlayList"
    case overlayInspect = "OverlayInspect"
    case overlayJoin = "OverlayJoin"
    case overlayLeave = "OverlayLeave"
    case overlayAddPeer = "OverlayAddPeer"
    case overlayRemovePeer = "OverlayRemovePeer"
  }

  func call(_ method: String, _ call: VarlinkCall) throws {
    guard let method = Method(rawValue: method) else {
      throw VarlinkError.methodNotFound("\(name).\(method)")
    }
    let request = Request(self, call)
    do {
      try dispatch(method, request)
    } catch let error as SliceError {
      throw VarlinkError(
        error.varlinkName, ErrorParameters(message: error.message, hint: error.hint))
    }
  }

  private func dispatch(_ method: Method, _ request: Request) throws {
    switch method {
    case .create: try request.create()
    case .start: try request.start()
    case .stop: try request.stop()
    case .restart: try request.restart()
    case .kill: try request.kill()
    case .pause: try request.setPaused(true)
    case .resume: try request.setPaused(false)
    case .destroy: try request.destroy()
    case .set: try request.set()
    case .renew: try request.renew()
    case .stopAll: try request.stopAll()
    case .list: try request.list()
    case .inspect: try request.inspect()
    case .logs: try request.logs()
    case .events: try request.events()
    case .wait: try request.wait()
    case .shares: try request.shares()
    case .offers: try request.offers()
    case .flows: try request.flows()
    case .execute: try request.execute()
    case .signalExecution: try request.signalExecution()
    case .capture: try request.capture()
    case .traffic: try request.traffic()
    case .imageList: try request.imageList()
    case .imageInspect: try request.imageInspect()
    case .imageImport: try request.imageImport()
    case .imageRemove: try request.imageRemove()
    case .overlayCreate: try request.overlayCreate()
    case .overlayDelete: try request.overlayDelete()
    case .overlayList: try request.overlayList()
    case .overlayInspect: try request.overlayInspect()
    case .overlayJoin: try request.overlayJoin()
    case .overlayLeave: try request.overlayLeave()
    case .overlayAddPeer: try request.overlayAddPeer()
    case .overlayRemovePeer: try request.overlayRemovePeer()
    }
  }
}

/// One call with its caller. The methods are in Methods/, by what they are about.
struct Request {
  let node: Node
  let call: VarlinkCall
  let subject: Authorization.Subject
  let interface: SlicesInterface

  init(_ interface: SlicesInterface, _ call: VarlinkCall) {
    self.interface = interface
    self.call = call
    node = interface.node
    subject = interface.authorization.subject(call.peer)
  }

  var userName: String { subject.caller.name }
  var reports: SliceReports { SliceReports(node: node) }

  /// The slice of this name, if the caller may touch it.
  func authorizedSlice(_ text: String) throws(SliceError) -> ManagedSlice {
    let slice = try node.slice(SliceName(text))
    try subject.require(slice.record)
    return slice
  }

  func reply(_ record: SliceRecord) throws {
    try call.reply(SliceReply(slice: reports.summary(record)))
  }
}
