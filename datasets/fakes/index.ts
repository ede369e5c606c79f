export { fakeForms, type FakeForm, type FakeImage, type FakeSetOptions } from './plan';
export { fakeSetNames, writeFakeSet, type FakeSet } from './write-fake-set';
