// swift-tools-version:6.1
// Modules, from the bottom up; imports run only downwards in this list.
import PackageDescription

let checked: [SwiftSetting] = [.swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny")]

let package = Package(
  name: "slices",
  products: [
    .executable(name: "slicectl", targets: ["slicectl"]),
    .executable(name: "sliced", targets: ["sliced"]),
    // For programs in slices with raw sockets.
    .library(name: "SliceRaw", targets: ["SliceRaw"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
  ],
  targets: [
    // C shims, one concern each.
    .target(name: "CSystem", path: "CShims/system"),
    .target(name: "CTerminal", path: "CShims/terminal"),
    .target(name: "CKernel", path: "CShims/kernel"),
    .target(name: "CLaunch", path: "CShims/launch"),
    .target(name: "CStorage", path: "CShims/storage"),
    .target(
      name: "CSeccomp", path: "CShims/seccomp", linkerSettings: [.linkedLibrary("seccomp")]),
    .target(
      name: "CCapability", path: "CShims/capability", linkerSettings: [.linkedLibrary("cap")]),
    .target(
      name: "CNetlink", path: "CShims/netlink",
      cSettings: [.unsafeFlags(["-I/usr/include/libnl3"])],
      linkerSettings: [.linkedLibrary("nl-3")]),
    // The program itself is built by the Makefile and loaded at run time.
    .target(
      name: "CClassifier", path: "CShims/classifier",
      exclude: ["classifier.bpf.c", "overlay.bpf.c"],
      linkerSettings: [.linkedLibrary("bpf"), .linkedLibrary("elf"), .linkedLibrary("z")]),
    // As the classifier: the program is built by the Makefile.
    .target(name: "CRaw", path: "CShims/raw", exclude: ["raw.bpf.c", "xdp.bpf.c"]),
    .target(name: "CSliceRaw", path: "CShims/sliceraw"),
    .target(
      name: "CToml", path: "CShims/toml",
      cxxSettings: [.define("TOML_EXCEPTIONS", to: "0")]),

    // What programs in slices ask the broker of raw sockets for; nothing else here uses it.
    .target(name: "SliceRaw", dependencies: ["CSliceRaw"], swiftSettings: checked),
    .executableTarget(
      name: "bulk-sockets", dependencies: ["SliceRaw"], path: "Docs/examples/raw/bulk-sockets",
      swiftSettings: checked, linkerSettings: [.unsafeFlags(["-static-executable"])]),

    // Owned file descriptors and the errors of system calls.
    .target(name: "Descriptor", dependencies: ["CSystem"], swiftSettings: checked),
    // What a slice is: no system calls, testable anywhere.
    .target(name: "SliceModel", swiftSettings: checked),
    // slice.toml and node.toml.
    .target(
      name: "SliceConfiguration", dependencies: ["SliceModel", "CToml"], swiftSettings: checked),
    // One wrapper per kernel object.
    .target(
      name: "SliceKernel",
      dependencies: [
        "SliceModel", "Descriptor", "CKernel", "CLaunch", "CSeccomp", "CCapability", "CNetlink",
        "CStorage", "CClassifier", "CRaw",
      ],
      swiftSettings: checked),
    // Builds and tears down slices, without a daemon.
    .target(
      name: "SliceRuntime", dependencies: ["SliceKernel", "SliceModel", "CSystem"],
      swiftSettings: checked),
    // The protocol: nothing about slices.
    .target(name: "Varlink", dependencies: ["Descriptor", "CSystem"], swiftSettings: checked),
    // The interface between supervisor and clients.
    .target(
      name: "SliceInterface", dependencies: ["Varlink", "SliceModel"],
      resources: [.embedInCode("org.sliceruntime.Slices.varlink")], swiftSettings: checked),
    .target(
      name: "SliceSupervisor",
      dependencies: [
        "SliceRuntime", "SliceConfiguration", "SliceInterface", "Varlink", "SliceModel",
        "SliceKernel", "Descriptor", "CKernel",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: checked),
    .target(
      name: "SliceClient",
      dependencies: ["SliceInterface", "Varlink", "SliceModel", "Descriptor", "CTerminal"],
      swiftSettings: checked),
    // Attacks on slices, from inside and outside, and what must come of them.
    .target(
      name: "SliceConformance", dependencies: ["SliceModel", "Descriptor", "CSystem"],
      swiftSettings: checked),
    .testTarget(
      name: "SliceClientTests",
      dependencies: [
        "SliceClient", "SliceInterface", "Varlink", "SliceModel", "Descriptor", "slicectl",
      ],
      swiftSettings: checked),
    .executableTarget(
      name: "sliced",
      dependencies: [
        "SliceSupervisor", "SliceModel",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: checked),
    .executableTarget(
      name: "slicectl",
      dependencies: [
        "SliceClient", "SliceConfiguration", "SliceConformance", "SliceInterface", "SliceRuntime",
        "SliceModel", "Descriptor",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: checked),

    // Starts a supervisor of its own in private namespaces, for tests of the whole.
    .target(
      name: "SystemTestSupport", dependencies: ["SliceModel", "Descriptor"],
      path: "Tests/SystemTestSupport", swiftSettings: checked),
    .testTarget(
      name: "SystemTests", dependencies: ["SystemTestSupport", "SliceModel"],
      swiftSettings: checked),
    .testTarget(
      name: "ServiceTests", dependencies: ["SystemTestSupport", "SliceModel", "Descriptor"],
      exclude: ["debian-tree"], swiftSettings: checked),
    .testTarget(
      name: "ConformanceTests",
      dependencies: ["SystemTestSupport", "SliceConformance", "SliceModel", "sliced"],
      exclude: ["junit.xsd", "closing.h", "dumpable.h", "groups.h"], swiftSettings: checked),
    .testTarget(
      name: "KernelTests",
      dependencies: ["SystemTestSupport", "SliceKernel", "SliceModel", "Descriptor", "CSeccomp"],
      swiftSettings: checked),
    .testTarget(
      name: "RuntimeTests",
      dependencies: [
        "SystemTestSupport", "SliceRuntime", "SliceKernel", "SliceModel", "Descriptor",
      ],
      swiftSettings: checked),

    .testTarget(
      name: "VarlinkTests", dependencies: ["Varlink", "Descriptor", "CSystem"],
      swiftSettings: checked),
    .testTarget(name: "SliceModelTests", dependencies: ["SliceModel"], swiftSettings: checked),
    .testTarget(
      name: "SliceConfigurationTests", dependencies: ["SliceConfiguration"], swiftSettings: checked),
  ],
  cxxLanguageStandard: .cxx17
)

// `make fuzz` alone builds this, with everything instrumented.
if Context.environment["SLICES_FUZZ"] != nil {
  package.targets += [
    .target(name: "CFuzz", path: "Tests/Fuzz/driver"),
    .executableTarget(
      name: "text",
      dependencies: ["CFuzz", "SliceConfiguration", "SliceInterface", "SliceModel", "Varlink"],
      path: "Tests/Fuzz/text", swiftSettings: checked),
  ]
}
