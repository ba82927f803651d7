// Reads the command line, does one thing, exits with its status. Everything else is in Invocation.
import Glibc

exit(Invocation.run(arguments: Array(CommandLine.arguments.dropFirst())))
