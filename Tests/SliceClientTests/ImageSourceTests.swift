import Glibc
import SliceModel
import Testing

@testable import SliceClient

@Suite struct ImageSourceTests {
  @Test(arguments: [
    ("/images/Alpine.tar.gz", "alpine"), ("debian-12.tar", "debian-12"), ("x.y.tzst", "x.y"),
    ("-My image!.tar", "my-image-"),
  ])
  func filesGiveTheirNames(path: String, name: String) {
    #expect(ImageSource.file(path).suggestedName == name)
  }

  @Test func namesWithoutLettersGiveNone() {
    #expect(ImageSource.file("...tar").suggestedName == nil)
    #expect(ImageSource.standardInput.suggestedName == nil)
  }

  @Test func missingSourcesAreNamed() {
    let error = #expect(throws: SliceError.self) { try ImageSource("/no/such/place") }
    #expect(error?.message == "cannot read '/no/such/place': No such file or directory")
  }

  @Test func findsTheMarkerOfAnOCILayoutInATar() throws {
    let directory = try TemporaryDirectory()
    directory.write("blob", String(repeating: "x", count: 1000))
    directory.write("oci-layout", "{}")
    for (arguments, isLayout) in [("blob oci-layout", true), ("blob", false)] {
      let status = system("tar -C \(directory.path) -cf \(directory.path)/a.tar \(arguments)")
      #expect(status == 0)
      let file = open(directory.path + "/a.tar", O_RDONLY | O_CLOEXEC)
      defer { close(file) }
      #expect(TarListing.containsOCILayout(file) == isLayout)
    }
  }
}
