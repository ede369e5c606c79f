export { fakeForms, planFakeSet, type FakeForm, type FakeImage, type FakePlan, type FakeSetOptions } from './plan';
export { fakeSetNames, writeFakeSet, type FakeSet, type WriteFakeSetOptions } from './write-fake-set';
