export { newTestFlbs, type TestFlb, testFlbData } from "../../src/compat/liveupdate-test.js";
