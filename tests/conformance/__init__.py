"""
Measuring the server with the Autobahn testsuite; see L{tests.conformance.run}.
"""
