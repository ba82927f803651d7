import CSystem
import Descriptor

/// A descriptor that becomes readable once, to wake those who poll it.
func makeEvent() throws(SystemError) -> OwnedFD {
  OwnedFD(adopting: try checked("eventfd") { system_event() })
}

/// Makes an event readable for good.
func raise(event: borrowing OwnedFD) { system_raise_event(event.rawValue) }
