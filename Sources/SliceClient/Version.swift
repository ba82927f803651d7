/// The release, as every program of the project prints it.
public let sliceRuntimeVersion = "0.1.0"
